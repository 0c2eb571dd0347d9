"""The tree in the docstring is the tree in the code; errors cross process borders whole."""

import copy
import pickle
import re

import pytest

from vidpipe import errors
from vidpipe.errors import VidpipeError


def family(cls: type[VidpipeError]) -> list[type[VidpipeError]]:
    """The class and all its descendants that `errors.py` defines."""
    children = [child for child in cls.__subclasses__() if child.__module__ == errors.__name__]
    return [cls, *(member for child in children for member in family(child))]


ALL = family(VidpipeError)

BUILTINS = {
    "Vanished": FileNotFoundError,
    "StillChanging": OSError,
    "Unreadable": ValueError,
    "NoVideoStream": ValueError,
    "NoFrames": ValueError,
    "TooSlow": TimeoutError,
    "TooLarge": OSError,
    "Forbidden": PermissionError,
    "BadValue": ValueError,
    "RegistryUnreachable": ConnectionError,
    "StorageUnreachable": ConnectionError,
    "LeaseLost": ConnectionError,
    "ConfigurationError": ValueError,
    "NotFound": LookupError,
    "IncompatibleFeatures": ValueError,
    "DamagedFeatures": ValueError,
    "StorageFailed": OSError,
}


def documented_parents() -> dict[str, str]:
    """Child to parent, as drawn in the module docstring; depth is four columns a level."""
    parents, above = {}, ["VidpipeError"]
    for line in (errors.__doc__ or "").splitlines():
        if drawn := re.match(r"([│ ]*)[├└]── (\w+)", line):
            depth = len(drawn[1]) // 4 + 1
            parents[drawn[2]] = above[depth - 1]
            above[depth:] = [drawn[2]]
    return parents


def test_the_tree_in_the_docstring_is_the_class_tree() -> None:
    assert documented_parents() == {cls.__name__: cls.__mro__[1].__name__ for cls in ALL[1:]}


def test_every_public_class_of_the_module_is_in_the_tree() -> None:
    defined = {v for v in vars(errors).values() if isinstance(v, type) and v.__module__ == errors.__name__}
    assert defined == set(ALL)


@pytest.mark.parametrize("cls", ALL)
def test_an_error_pickles_with_its_message_and_next_step(cls: type[VidpipeError]) -> None:
    error = cls("clip.mp4: got 3, expected 4.", next_step="vidpipe retry")
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is cls
        assert (twin.message, twin.next_step) == ("clip.mp4: got 3, expected 4.", "vidpipe retry")
        assert str(twin) == str(error) == "clip.mp4: got 3, expected 4. Next: vidpipe retry"


@pytest.mark.parametrize("cls", ALL)
def test_without_a_next_step_the_text_is_the_message_alone(cls: type[VidpipeError]) -> None:
    assert str(cls("it broke.")) == "it broke."


def test_errors_inherit_the_builtin_that_other_code_would_catch() -> None:
    native = (OSError, ValueError, LookupError)
    for cls in ALL:
        expected = BUILTINS.get(cls.__name__)
        assert issubclass(cls, expected or cls)
        assert expected is not None or not issubclass(cls, native), f"{cls.__name__} is missing here"


def test_every_error_says_in_its_docstring_what_the_tree_says() -> None:
    said = {m[1]: m[2] for m in re.finditer(r"── (\w+) {2,}(\S.*)", errors.__doc__ or "")}
    assert len(said) > 10
    for cls in ALL:
        if cls.__name__ in said and issubclass(cls, errors.VideoError):
            assert (cls.__doc__ or "").rstrip(".").lower() == said[cls.__name__].rstrip(".").lower()


def test_verdicts_of_bad_videos_differ_where_the_bytes_are_to_blame() -> None:
    videos = [cls for cls in family(errors.VideoError)[1:] if issubclass(cls, errors.VideoError)]
    blamed = [cls.verdict for cls in videos if cls.verdict is not None]
    assert sorted(blamed) == ["forbidden", "no_frames", "no_video", "too_slow", "unreadable"]
    assert errors.Vanished.verdict is None
