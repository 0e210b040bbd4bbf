from __future__ import annotations

from cbstore_sql.runtime.recent import RecentNames


def test_the_name_stored_longest_ago_is_removed_first() -> None:
    names: RecentNames[int] = RecentNames(2)
    names.put("a", 1)
    names.put("b", 2)
    names.put("a", 3)
    names.put("c", 4)
    assert [names.get(name) for name in "abc"] == [3, None, 4]
    assert len(names) == 2


def test_a_dropped_name_makes_room() -> None:
    names: RecentNames[int] = RecentNames(2)
    names.put("a", 1)
    names.put("b", 2)
    names.drop("a")
    names.drop("unknown")
    names.put("c", 3)
    assert ["a" in names, "b" in names, "c" in names] == [False, True, True]
