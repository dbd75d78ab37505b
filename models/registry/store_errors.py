"""What went wrong at a store, in one sentence without a credential in it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from obstore.exceptions import NotSupportedError

SECRET = re.compile(r"SECRET|TOKEN|KEY|PASSWORD|CREDENTIAL|SAS")
WHERE_CREDENTIALS_GO = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment of whoever runs the flows, or name a Prefect "
    "block in storage_options.credentials_block"
)
PERMISSIONS = (
    "the rights to list the bucket, and to get and put its objects (s3:ListBucket, s3:GetObject, s3:PutObject)"
)


def explained(error: Exception, url: str, doing: str, secrets: Iterable[str] = ()) -> ValueError | RuntimeError:
    """The error to raise instead of obstore's, whose text holds what the server answered, word for word.

    A server quotes the request that it refuses: S3 with the key's name, and with the token where there is one. So only
    the code and the message of its answer are taken over, without whatever is a credential.

    Args:
        error: as obstore raised it.
        url: of the storage.
        doing: what was being done, such as "writing log/0.json".
        secrets: values that must not be seen, beside those of the environment.

    Returns:
        `ValueError` for what stays wrong until somebody changes something, `RuntimeError` for what may pass.
    """
    answer = _answer(str(error), _secrets(secrets))
    where = f"storage={url!r}, {doing}"
    if re.search(_NO_CREDENTIALS, answer.whole):  # the machine's own service was asked for some: it may be late
        return RuntimeError(f"{where}: no credentials were found; {WHERE_CREDENTIALS_GO}")
    for pattern, advice in _LASTING:
        if re.search(pattern, answer.whole):
            return ValueError(f"{where}: {advice} ({answer.short})")
    if isinstance(error, NotSupportedError | NotImplementedError):
        return ValueError(f"{where}: this store cannot create an object only if there is none ({answer.short})")
    return RuntimeError(f"{where}: the store does not answer as it should ({answer.short}); is the endpoint right?")


# A pattern in obstore's text or the server's answer, and what is to be done.
_LASTING = (
    (r"NoSuchBucket|AllAccessDisabled", "there is no such bucket; create it, or correct storage"),
    (
        r"without LOCATION|PermanentRedirect|AuthorizationHeaderMalformed|IllegalLocationConstraint",
        "the bucket lies in another region; set storage_options.region, or AWS_REGION",
    ),
    (r"BadScheme", "the endpoint is http:// and not https://; set storage_options.allow_http if that is meant"),
    (
        r"InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken|InvalidSecurity|401 Unauthorized",
        f"the credentials are refused; {WHERE_CREDENTIALS_GO}",
    ),
    (
        r"EntityTooLarge|status code: 413",
        "the object is too large to be written in one request, which S3 limits to 5 GiB",
    ),
    (r"MissingAccessKeyId|MissingSecretAccessKey", f"only one half of a credential was found; {WHERE_CREDENTIALS_GO}"),
    (r"AccessDenied|403 Forbidden", f"permission is denied; whoever asks must be allowed {PERMISSIONS}"),
)
_NO_CREDENTIALS = r"169\.254\.|latest/api/token|latest/meta-data|metadata\.google|Account must be specified"


class _Answer:
    """What the text of an error says: all of it to look for patterns, and the part that may be shown."""

    def __init__(self, whole: str, short: str) -> None:
        self.whole, self.short = whole, short


def _answer(text: str, secrets: list[str]) -> _Answer:
    code, message = (re.search(rf"<{name}>(.*?)</{name}>", text, re.DOTALL) for name in ("Code", "Message"))
    status, kind = re.search(r"status code: (\d{3}[ A-Za-z]*)", text), re.search(r"kind: (Connect|Timeout)\b", text)
    if code:
        short = f"{code[1]}: {message[1]}" if message else code[1]
    elif status:
        short = status[1]
    elif kind:
        short = "no connection" if kind[1] == "Connect" else "no answer in time"
    else:
        short = text.partition("\n")[0].rpartition(" - ")[2]
    for secret in secrets:
        short = short.replace(secret, "***")
    return _Answer(text, short.strip())


def _secrets(given: Iterable[str]) -> list[str]:
    """Values that must not be seen, the longest first, as one may be a part of another."""
    in_environment = (value for name, value in os.environ.items() if SECRET.search(name))
    return sorted({value for value in (*given, *in_environment) if len(value) > 3}, key=len, reverse=True)
