"""The checks. Each sends its corpus and yields the spellings that passed, as (protocol, spelling, what the server read).

A check first proves that it can fail: its policy must refuse the plain spelling, and the server must answer it.
"""

from clients import http1, http2
from edge import LIMIT, token
import spellings

GET, POST = b"GET", b"POST"
# The HTTP/2 client is slow, so it sends only a part of the corpus, the same in every run.
HTTP2_SHARE = 4


class NotSetUp(Exception):
    """The plain spelling has an unexpected result, so the others would prove nothing."""


def demand(condition, what, answer):
    if not condition:
        raise NotSetUp(f"{what}: got {answer.status}, {answer.seen}")


def paths(target, other):
    """(protocol, client, path) for the whole corpus of a path."""
    corpus = spellings.of_a_path(target, other)
    yield from (("h1", http1, path) for path in corpus)
    yield from (("h2", http2, path) for path in corpus[::HTTP2_SHARE])


def jwt_open(port):
    """(a) If everything but /public/ needs a token, no handler but public runs without one."""
    bearer = [(b"authorization", b"Bearer " + token())]
    yield from without_token(port, bearer, lambda handler: handler not in (None, "public"))


def jwt_closed(port):
    """(a) If /admin needs a token, its handler does not run without one."""
    bearer = [(b"authorization", b"Bearer " + token())]
    yield from without_token(port, bearer, lambda handler: handler == "admin")


def without_token(port, bearer, is_breach):
    refused, open_, admitted = (
        http1(port, GET, b"/admin/x"),
        http1(port, GET, b"/public/x"),
        http1(port, GET, b"/admin/x", bearer),
    )
    demand(refused.status == 401, "/admin/x without a token", refused)
    demand(open_.handler == "public", "/public/x without a token", open_)
    demand(admitted.handler == "admin", "/admin/x with a token", admitted)
    for protocol, client, path in paths("admin", "public"):
        answer = client(port, GET, path)
        if is_breach(answer.handler):
            yield protocol, path, f"ran {answer.handler}"


def jwt_method(port):
    """(a) If POST needs a token, no handler reads the method as POST without one."""
    refused = http1(port, POST, b"/account/x")
    demand(refused.status == 401, "POST without a token", refused)
    for protocol, client, method, headers in methods():
        answer = client(port, method, b"/account/x", headers)
        if answer.handler and answer.seen["method"] == "POST":
            yield protocol, method + b" " + repr(headers).encode(), "ran as POST"


def methods():
    for method in spellings.unique(spellings.METHODS):
        yield "h2", http2, method, []
        if b" " not in method:
            yield "h1", http1, method, []
    for name in spellings.unique(spellings.OVERRIDES):
        yield "h1", http1, GET, [(name, POST)]


def jwt_headers(port):
    """(d) A header that jwt-auth sets from a claim reaches the server from no other source."""
    bearer = (b"authorization", b"Bearer " + token(sub="alice"))
    plain = http1(port, GET, b"/public/x", [bearer])
    demand(plain.handler and plain.seen["x_user"] == "alice", "a token of alice", plain)
    for name in [b"x-user", *spellings.unique(spellings.of_a_header("x-user"))]:
        for protocol, client in ("h1", http1), ("h2", http2):
            if protocol == "h2" and name != name.lower():
                continue
            for headers, expected in ([], None), ([bearer], "alice"):
                answer = client(port, GET, b"/public/x", [(name, b"root"), *headers])
                if answer.handler and answer.seen["x_user"] != expected:
                    yield protocol, name, f"read as {answer.seen['x_user']!r}, not {expected!r}"


def limit_path(port):
    """(b) However the path is written, the handler runs no more often than the limit allows."""
    exhaust(port, lambda: http1(port, GET, b"/login/x"))
    for protocol, client, path in paths("login", "public"):
        answer = client(port, GET, path)
        if answer.handler == "login":
            yield protocol, path, "ran login"


def limit_method(port):
    """(b) However the method is written, the server reads it no more often than the limit allows."""
    exhaust(port, lambda: http1(port, POST, b"/login/x"))
    for protocol, client, method, headers in methods():
        answer = client(port, method, b"/login/x", headers)
        if answer.handler and answer.seen["method"] == "POST":
            yield protocol, method + b" " + repr(headers).encode(), "ran as POST"


def limit_cookie(port):
    """(b) A cookie's value is read by the server no more often than the limit allows."""
    exhaust(port, lambda: http1(port, GET, b"/login/x", [(b"cookie", b"session=abcdef")]))
    # Requests without a cookie have a limit of their own.
    exhaust(port, lambda: http1(port, GET, b"/login/x"))
    for lines in spellings.of_a_cookie():
        headers = [(b"cookie", line.encode("latin-1")) for line in lines]
        for protocol, client in ("h1", http1), ("h2", http2):
            answer = client(port, GET, b"/login/x", headers)
            if answer.handler and answer.seen["cookie"] == spellings.VALUE:
                yield protocol, b" / ".join(value for _, value in headers), f"read as {spellings.VALUE}"


def limit_query(port):
    """(b) A parameter's value is read by the server no more often than the limit allows."""
    exhaust(port, lambda: http1(port, GET, b"/login/x?k=abcdef"))
    exhaust(port, lambda: http1(port, GET, b"/login/x"))
    for query in spellings.unique(spellings.of_a_query()):
        answer = http1(port, GET, b"/login/x?" + query)
        if answer.handler and answer.seen["query"] == spellings.VALUE:
            yield "h1", query, f"read as {spellings.VALUE}"


def limit_host(port):
    """(b) A host is read by the server no more often than the limit allows, with or without a default port."""
    for plain, forms in (b"shop.example", spellings.of_a_host()), (b"[::1]", spellings.HOST_FORMS_IPV6):
        exhaust(port, lambda: http1(port, GET, b"/login/x", host=plain))
        for host in spellings.unique(forms):
            for protocol, client in ("h1", http1), ("h2", http2):
                answer = client(port, GET, b"/login/x", host=host)
                if answer.handler and names(answer.seen["host"] or "", plain.decode()):
                    yield protocol, host, f"read as {answer.seen['host']!r}"


def names(host, plain):
    """Whether a host names that server, whatever the letter case, with or without a final dot and port 80."""
    host = host.lower().strip()
    host = host[:-3] if host.endswith(":80") else host
    if host.startswith("["):
        return host.endswith("1]")
    return host.rstrip(".") == plain


def limit_header(port):
    """(b) A header's value is read by the server no more often than the limit allows."""
    exhaust(port, lambda: http1(port, GET, b"/login/x", [(b"x-api-key", b"abcdef")]))
    exhaust(port, lambda: http1(port, GET, b"/login/x"))
    for name in spellings.unique(spellings.of_a_header("x-api-key")):
        for protocol, client in ("h1", http1), ("h2", http2):
            if protocol == "h2" and name != name.lower():
                continue
            for decoy in [], [(b"x-api-key", b"zzz")], [(b"x-api-key", b"")]:
                answer = client(port, GET, b"/login/x", [(name, b"abcdef"), *decoy])
                if answer.handler and answer.seen["api_key"] == "abcdef":
                    yield protocol, name + b" " + repr(decoy).encode(), "read as abcdef"


def cross_site(port):
    """(c) If /hooks/ accepts POST from other sites, no handler but hooks runs for a foreign Origin."""
    foreign = [(b"origin", b"https://evil.example")]
    refused, exempt, own = (
        http1(port, POST, b"/account/x", foreign),
        http1(port, POST, b"/hooks/x", foreign),
        http1(port, POST, b"/account/x"),
    )
    demand(refused.status == 403, "a foreign POST to /account/x", refused)
    demand(exempt.handler == "hooks", "a foreign POST to /hooks/x", exempt)
    demand(own.handler == "account", "a POST to /account/x", own)
    for protocol, client, path in paths("account", "hooks"):
        answer = client(port, POST, path, foreign)
        if answer.handler not in (None, "hooks"):
            yield protocol, path, f"ran {answer.handler}"


def exhaust(port, send):
    """Uses up the limit, and checks that the next request is refused."""
    for _ in range(LIMIT):
        answer = send()
        demand(answer.handler == "login", "within the limit", answer)
    answer = send()
    demand(answer.status == 429, "beyond the limit", answer)


CHECKS = (
    *(jwt_open, jwt_closed, jwt_method, jwt_headers, limit_path, limit_method),
    *(limit_cookie, limit_query, limit_host, limit_header, cross_site),
)
