"""A store on a Valkey or Redis server: shared by several machines, with compare-and-set in one script."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from sostenuto.diagnosis import count
from sostenuto.errors import BackendError, StoreError
from sostenuto.stores.contract import Change, Entry, Store, closed_error, conflict, new_revision, refuse_twice
from sostenuto.stores.damage import corrupt, newer
from sostenuto.stores.ids import Id, id_of, key_text

if TYPE_CHECKING:
    import valkey

FORMAT = 1
REVISION = 8  # bytes of the revision, big-endian, before each record
PAGE = 1000  # ids fetched at once by ids()
MOST_AT_ONCE = 300_000  # a server reads at most 2**20 arguments in one command, three of which belong to a change
_READ_AT_ONCE = 100_000
_SECONDS = 5.0

# KEYS: entries, ids, format. ARGV: the format, then for each change its key, the revision expected (empty for none) and
# the new value (empty to delete). Answers with keys and revisions that differ, after which nothing was written. The
# server runs a script without a break and logs all of it or nothing. Whatever can fail does so before the first change:
# wrong kinds of keys here, a full memory or a read-only server at the first change itself.
_WRITE = """
local format = redis.call('GET', KEYS[3])
if format and format ~= ARGV[1] then return redis.error_reply('FORMAT ' .. format) end
redis.call('ZCARD', KEYS[2])
local others = {}
for i = 2, #ARGV, 3 do
  local there = redis.call('HGET', KEYS[1], ARGV[i])
  there = there and string.sub(there, 1, 8) or ''
  if there ~= ARGV[i + 1] then
    others[#others + 1] = ARGV[i]
    others[#others + 1] = there
  end
end
if #others > 0 then return others end
for i = 2, #ARGV, 3 do
  if ARGV[i + 2] ~= '' then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2])
    if ARGV[i + 1] == '' then redis.call('ZADD', KEYS[2], 0, ARGV[i]) end
  elseif ARGV[i + 1] ~= '' then
    redis.call('HDEL', KEYS[1], ARGV[i])
    redis.call('ZREM', KEYS[2], ARGV[i])
  end
end
if not format then redis.call('SET', KEYS[3], ARGV[1]) end
return {}
"""


class ValkeyStore(Store):
    """A store on a Valkey or Redis server.

    A call's changes are one script on the server: all or nothing. They are durable when ``write`` returns only if the
    server is told so: ``appendonly yes`` and ``appendfsync always``; otherwise a warning says what may be lost. All is
    in four keys under ``prefix``; nothing else on the server is touched.

    Args:
        url: ``valkey://[user[:password]@]host[:port][/database]``, or with ``redis://``; ``valkeys://`` and ``rediss://``
            for TLS.
        prefix: what the names of the keys begin with; stores with different prefixes know nothing of each other.

    Raises:
        BackendError: SO703, the package valkey is not installed.
        StoreError: SO908, no server answers; SO901, the address or the keys are something else; SO902, a newer format.

    Example:
        >>> from sostenuto.stores import ValkeyStore
        >>> ValkeyStore("valkey://:password@localhost:6379/0").name  # doctest: +SKIP
        "Valkey 'valkey://localhost:6379/0'"
    """

    def __init__(self, url: str, prefix: str = "sostenuto:") -> None:
        self._package = _package()
        self._name = _named(url, prefix)
        self._entries, self._ids, self._notes, self._format = (
            prefix + name for name in ("entries", "ids", "notes", "format")
        )
        self._closed = False
        try:
            # A pool of connections: each thread has one of its own while it talks.
            self._client: valkey.Valkey = self._package.Valkey.from_url(
                url, socket_connect_timeout=_SECONDS, socket_timeout=6 * _SECONDS
            )
        except (ValueError, TypeError) as error:
            raise self._error("SO901", f"'{error}'", "valkey://host:port/database", "correct the address") from None
        self._script = self._client.register_script(_WRITE)
        try:
            self._check_keys()
            self._warn_unless_durable()
        except BaseException:
            self.close()
            raise

    @property
    def name(self) -> str:
        return self._name

    def read(self, ids: Sequence[Id]) -> list[Entry | None]:
        self._check_open()
        keys = [key_text(id) for id in ids]
        if not keys:
            return []
        with self._explained(writing=False):
            pipe = self._client.pipeline(transaction=len(keys) > _READ_AT_ONCE)
            for begin in range(0, len(keys), _READ_AT_ONCE):
                pipe.hmget(self._entries, keys[begin : begin + _READ_AT_ONCE])
            values = [value for part in pipe.execute() for value in part]
        return [None if value is None else self._entry(value, id) for id, value in zip(ids, values, strict=True)]

    def write(self, changes: Sequence[Change]) -> int:
        self._check_open()
        keys = [key_text(change.id) for change in changes]
        if len(set(keys)) < len(keys):
            refuse_twice(self.name, [id_of(key, self.name) for key in keys])
        if len(changes) > MOST_AT_ONCE:
            got = count(len(changes), "change")
            raise self._error("SO905", got, f"at most {MOST_AT_ONCE:,} in one call", "make several calls")
        revision = new_revision()
        head = _bytes(revision)
        arguments: list[str | bytes] = [str(FORMAT)]
        for key, (_, expected, record) in zip(keys, changes, strict=True):
            arguments += (key, b"" if expected is None else _bytes(expected), b"" if record is None else head + record)
        with self._explained(writing=True):
            others = cast(list[bytes], self._script([self._entries, self._ids, self._format], arguments))
        if others:
            there = {key.decode(): _number(now) for key, now in zip(others[::2], others[1::2], strict=True)}
            raise conflict(
                self.name, [(change, there[key]) for key, change in zip(keys, changes, strict=True) if key in there]
            )
        return revision

    def ids(self) -> Iterator[Id]:
        self._check_open()
        return self._all_ids()

    def _all_ids(self) -> Iterator[Id]:
        # Page by page through a set that is sorted by the text itself, so that an id comes once, whatever is written
        # meanwhile; SCAN may name one twice.
        last = b"-"
        while True:
            self._check_open()
            with self._explained(writing=False):
                page = cast(list[bytes], self._client.zrangebylex(self._ids, last, "+", 0, PAGE))
            for key in page:
                yield id_of(key.decode(errors="replace"), self.name)
            if len(page) < PAGE:
                return
            last = b"(" + page[-1]

    def __len__(self) -> int:
        self._check_open()
        with self._explained(writing=False):
            return cast(int, self._client.hlen(self._entries))

    def note(self, name: str) -> str | None:
        self._check_open()
        with self._explained(writing=False):
            text = cast(bytes | None, self._client.hget(self._notes, name))
        return None if text is None else text.decode()

    def set_note(self, name: str, text: str) -> None:
        self._check_open()
        with self._explained(writing=True):
            pipe = self._client.pipeline(transaction=True)
            pipe.hset(self._notes, name, text)
            pipe.setnx(self._format, FORMAT)
            pipe.execute()

    def clear(self) -> None:
        self._check_open()
        with self._explained(writing=True):
            self._client.unlink(self._entries, self._ids)

    def close(self) -> None:
        self._closed = True
        self._client.close()

    # --- what the server says --------------------------------------------------------------------------------------

    def _check_open(self) -> None:
        if self._closed:
            raise closed_error(self.name)

    def _entry(self, value: bytes, id: Id) -> Entry:
        if len(value) < REVISION:
            raise corrupt(f"the entry of {id!r} in {self.name}", count(len(value), "byte"))
        return Entry(int.from_bytes(value[:REVISION], "big"), value[REVISION:])

    def _check_keys(self) -> None:
        """Refuses keys of another program and of a newer format."""
        wanted = {self._entries: b"hash", self._ids: b"zset", self._notes: b"hash", self._format: b"string"}
        with self._explained(writing=False):
            pipe = self._client.pipeline(transaction=False)
            for key in wanted:
                pipe.type(key)
            kinds = pipe.execute()
            format = cast(bytes | None, self._client.get(self._format)) if kinds[-1] == b"string" else None
        for (key, kind), found in zip(wanted.items(), kinds, strict=True):
            if found not in (kind, b"none"):
                got = f"a {found.decode()} under the key '{key}'"
                raise self._error("SO901", got, f"a {kind.decode()}, or nothing", "choose another prefix=")
        if format is not None:
            if not format.isdigit() or int(format) < FORMAT:
                got = f"something else than a format under the key '{self._format}'"
                raise self._error("SO901", got, f"format {FORMAT}", "choose another prefix=")
            if int(format) > FORMAT:
                raise newer(self.name, int(format), FORMAT)

    def _warn_unless_durable(self) -> None:
        try:
            found = {
                key: cast(dict[str, str], self._client.config_get(key)).get(key, "")
                for key in ("appendonly", "appendfsync", "maxmemory", "maxmemory-policy")
            }
        except self._package.ResponseError:
            found = {}  # a hosted server may keep its settings to itself
        except self._package.ValkeyError as error:
            raise self._explain(error, writing=False) from None
        lost = []
        if not found:
            lost.append("it does not tell whether it has 'appendonly yes' and 'appendfsync always'")
        elif found["appendonly"] != "yes":
            lost.append("it has 'appendonly no', so that a crash loses what was written since its last snapshot")
        elif found["appendfsync"] != "always":
            lost.append(f"it has 'appendfsync {found['appendfsync']}', so that a crash loses the last seconds")
        if found and found["maxmemory"] != "0" and found["maxmemory-policy"].startswith("allkeys"):
            lost.append(f"it has 'maxmemory-policy {found['maxmemory-policy']}', which deletes the store to make room")
        if lost:
            warnings.warn(
                f"{self.name} may lose steps that were acknowledged: {'; '.join(lost)}. "
                "Set appendonly yes, appendfsync always and maxmemory-policy noeviction.",
                stacklevel=3,
            )

    @contextlib.contextmanager
    def _explained(self, writing: bool) -> Iterator[None]:
        try:
            yield
        except self._package.ValkeyError as error:
            raise self._explain(error, writing) from None

    def _explain(self, error: Exception, writing: bool) -> StoreError:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        if isinstance(error, self._package.AuthenticationError) or said.startswith("NOAUTH"):
            return self._error("SO908", f"'{said}'", "a user and password that it takes", "correct the address")
        if isinstance(error, self._package.ConnectionError | self._package.TimeoutError):
            fix = "start the server, or check host and port"
            if writing:
                fix += "; whether this call was kept is not known, so read the ids again before repeating it"
            return self._error("SO908", f"'{said}'", "a server that answers", fix)
        if said.startswith("FORMAT "):
            return newer(self.name, int(said.split()[1]), FORMAT)
        if "WRONGTYPE" in said:
            got = "keys of another kind under this prefix"
            return self._error("SO901", got, "keys that Sostenuto made", "choose another prefix=")
        if writing:
            return self._error(
                "SO905", f"'{said}'", "a server that takes changes", "look after the server, then repeat"
            )
        return self._error("SO901", f"'{said}'", "a server that lets this user read", "look after the server")

    def _error(self, code: str, got: str, wanted: str, fix: str) -> StoreError:
        what = {
            "SO901": "This cannot be opened or read as a store.",
            "SO905": "The store cannot be written.",
            "SO908": "The server of a store does not answer.",
        }[code]
        return StoreError(what, code=code, where=self.name, got=got, wanted=wanted, fix=fix)


def _package() -> Any:
    try:
        import valkey
    except ImportError:
        raise BackendError(
            "A store on a server needs the package valkey.",
            code="SO703",
            where="ValkeyStore",
            got="no package valkey",
            wanted="valkey 6 or newer, which speaks to Valkey and Redis servers alike",
            fix="pip install 'sostenuto[valkey]'",
        ) from None
    return valkey


def _named(url: str, prefix: str) -> str:
    """The store in words, without user and password."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or "localhost"
    try:
        port = parts.port or 6379
    except ValueError:
        port = 0
    shown = f"{parts.scheme}://{host}:{port}/{parts.path.strip('/') or 0}"
    return f"Valkey '{shown}'" if prefix == "sostenuto:" else f"Valkey '{shown}', prefix {prefix!r}"


def _bytes(revision: int) -> bytes:
    return revision.to_bytes(REVISION, "big")


def _number(revision: bytes) -> int | None:
    return int.from_bytes(revision, "big") if revision else None
