"""The errors of Bedrock and other AWS services, by error code."""

from __future__ import annotations

from cbstore_sql.llm.classification.form import FailureCategory
from cbstore_sql.llm.classification.reader import table

# The HTTP status of Bedrock says little: a used-up quota has status 400, and a failed model has status 424. Event
# streams contain the same codes with a lower-case first letter.
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
