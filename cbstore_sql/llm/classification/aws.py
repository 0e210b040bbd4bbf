"""Errors of AWS: Bedrock and the rest, named by their exceptions' codes."""

from __future__ import annotations

from cbstore_sql.llm.classification.form import FailureCategory
from cbstore_sql.llm.classification.reader import table

# Bedrock's status tells little: a used-up quota is a 400, a failed model a 424. The same codes, with a small first
# letter, stand in event streams.
CODES = table(
    {
        FailureCategory.RATE_LIMITED: """ThrottlingException Throttling ThrottledException RequestThrottled
            RequestThrottledException TooManyRequestsException RequestLimitExceeded SlowDown
            ProvisionedThroughputExceededException LimitExceededException BandwidthLimitExceeded""",
        FailureCategory.QUOTA_EXHAUSTED: "ServiceQuotaExceededException",
        FailureCategory.OVERLOADED: "ServiceUnavailableException ServiceUnavailable ModelNotReadyException",
        FailureCategory.TIMEOUT: "ModelTimeoutException RequestTimeout RequestTimeoutException",
        FailureCategory.TRANSIENT: """ModelErrorException ModelStreamErrorException InternalServerException
            InternalServerError InternalFailure InternalError""",
        FailureCategory.AUTH: """AccessDeniedException AccessDenied ExpiredTokenException ExpiredToken
            UnrecognizedClientException InvalidSignatureException SignatureDoesNotMatch InvalidClientTokenId
            IncompleteSignature IncompleteSignatureException MissingAuthenticationToken
            MissingAuthenticationTokenException OptInRequired RequestExpired InvalidAccessKeyId NotAuthorized""",
        FailureCategory.INVALID_REQUEST: """ValidationException ValidationError ResourceNotFoundException
            ConflictException""",
    }
)
