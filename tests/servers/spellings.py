"""The corpus: ways to write a path, a cookie, a parameter, a host, a header, a method.

Everything is bytes. Lists are the same in every run; combinations are drawn with a fixed seed.
"""

import itertools
import random

# Separators of segments, and parent segments, as some server, proxy or library reads them.
SLASHES = (
    *("/", "//", "///", "/./", "/.//", "/%2e/", "/%2E/", "/;/", "/;a=b/", "/.;/", "/%3b/", "/%20/", "/%09/"),
    *("%2f", "%2F", "/%2f", "%2f/", "%252f", "%25252f", "\\", "/\\", "%5c", "%5C", "%255c", "%c0%af", "%e0%80%af"),
    *("%ef%bc%8f", "%u002f", "%u2215", "/%00/", "%00/", "/x/../", "/x/%2e%2e/", "/x/..;/"),
)
PARENTS = (
    *("..", ".%2e", "%2e.", "%2e%2e", "%2E%2e", "%252e%252e", ".%252e", "%25252e%25252e", "..;", "..;a=b", ";/.."),
    *("%2e%2e;", "%2e%2e;a", "..%3b", "..%3B", "%2e%2e%3b", ".;.", "..%00", "%00..", "..%20", "..%09", "..%0a", "..%0d"),
    *("..%23", "..%3f", "...", "....", "..//", "%c0%ae%c0%ae", "%e0%80%ae%e0%80%ae", "%u002e%u002e", "..\\"),
    *("..%5c", "..%2f.", "../.", "./..", "..%2f", "%2e%2e%2f", "%2e%2e%5c", "%ef%bc%8e%ef%bc%8e"),
)


def of_a_path(target, other, drawn=250):
    """Paths that may reach the handler of /<target>/x, some of them through /<other>/, which has another rule."""
    fixed = [*of_one_segment(target), *by_another(target, other), *in_other_forms(target, other)]
    chance = random.Random(f"{target} {other}")
    for _ in range(drawn):
        fixed.append(combination(target, other, chance))
    return unique(fixed)


def of_one_segment(target):
    first, rest = target[0], target[1:]
    coded = f"%{ord(first):02x}"
    names = (
        *(target, target.upper(), target.capitalize(), rest.join((first.upper(), "")), coded + rest),
        *("".join(f"%{ord(each):02X}" for each in target), f"%25{ord(first):02x}" + rest, f"%u00{ord(first):02x}" + rest),
        *(f"%C0%{0x80 + (ord(first) & 0x3F):02X}" + rest, f"%{ord(first.upper()):02x}" + rest),
    )
    ends = (
        *("/x", "", "/", "//x", "/./x", "/.", "/..", "/x/..", "/x/../y", "%2fx", "%2f", "\\x", "%5cx", ";/x", ";a=b/x"),
        *("%3b/x", "%3ba=b/x", ".", "./x", "%2e", "%20", "%20/x", "%00", "%00/x", "%0a", "%09", "?", "?x", "/?/../..", "%3f"),
        *("#", "#/x", "/x#/../../y", "%23", "/%2e%2e/x", "/%2e/x", "/x;", "/x;/y", "/;/x", ",/x", "~", "%7f", "%c2%a0", "+"),
        *("/%0a", "%0d", "%0d%0a", "%0A", "%0b", "%85", "%c2%85", "%e2%80%a8", "%a0", "/x%0a", "%0a/x", "%1f"),
    )
    starts = (
        *("/", "//", "///", "/./", "/.//", "/../", "/../../", "/%2e/", "/%2e%2e/", "/%2f", "/%2f/", "%2f", "\\", "/\\"),
        *("/%5c", "/;/", "/;a/", "/.;/", "/..;/", "/x/../", "/x/..;/", "/x/%2e%2e/", "/x//../../", "/%20/", "/%00/", "/?/"),
    )
    for name, end in itertools.product(names, ("/x", "", "/")):
        yield f"/{name}{end}"
    for end in ends:
        yield f"/{target}{end}"
        yield f"/{target.upper()}{end}"
    for start in starts:
        yield f"{start}{target}/x"
        yield f"{start}{coded}{rest}/x"


def by_another(target, other):
    for slash, parent in itertools.product(("/", "%2f", "\\", "%5c", "//"), PARENTS):
        yield f"/{other}{slash}{parent}{slash}{target}/x"
        yield f"/{target}{slash}{parent}{slash}{other}/x"
    for slash in SLASHES:
        yield f"/{other}{slash}..{slash}{target}/x"
        yield f"/{other}/..{slash}{target}/x"
        yield f"/{target}{slash}..{slash}{other}/x"
        yield f"/{target}{slash}../{other}/x"
        yield f"/{target}/..{slash}{other}/x"
    for climb in ("..", "%2e%2e", "..;"):
        yield f"/{other}/a/{climb}/{climb}/{target}/x"
        yield f"/{target}/a/{climb}/{climb}/{other}/x"
        yield f"/{target}/{climb}/{climb}/{other}/x"
        yield f"/{target}/x/{climb}/{climb}/{other}"
        yield f"/{target}/x/{climb}/{climb}/{other}/"
        yield f"/{target}/{other}/{climb}"


def in_other_forms(target, other):
    for scheme in ("http", "HTTP", "https"):
        for host in ("shop.example", "shop.example:80", "u:p@shop.example", "other.example", "shop.example."):
            yield f"{scheme}://{host}/{target}/x"
            yield f"{scheme}://{host}/{other}/../{target}/x"
            yield f"{scheme}://{host}/{target}/../{other}/x"
    # Bytes that end a request line in Python's http.server, or that lenient decoders drop.
    for byte in ("\x85", "\xa0", "%85", "%a0", "%ff", "%c2"):
        yield from (f"/{target}{byte}", f"/{target}{byte}/x", f"/{byte}{target}/x", f"/{target[:2]}{byte}{target[2:]}/x")
    yield from (f"//h\\x/{target}/x", f"//\\/{target}/x")
    yield from (
        *(f"//shop.example/{target}/x", f"//{other}/../{target}/x", f"//{target}/../{other}/x", f"//{other}/{target}/x"),
        *(f"///{other}/../{target}/x", f"http:///{target}/x", f"http://shop.example//{target}/x", f"{target}/x"),
        *(f"http:/{target}/x", f"/http://shop.example/{target}/x", f"http://shop.example\\{target}/x"),
        *(f"/{other}/?/../../{target}/x", f"/{other}/#/../../{target}/x", f"/{target}/x?/../../{other}/x"),
        *(f"/{other}/x%3f/../../{target}/x", f"/{other}/x%23/../../{target}/x", f"/{target}?x=/../{other}/"),
        *(f"/{target}#/../{other}/x", f"/{target}%23/../../{other}/x", f"/{target}%3f/../../{other}/x"),
        *(f"/{other};/../{target}/x", f"/{other}/;/../{target}/x", f"/;/{other}/../{target}/x", f"/{other}/..;x/{target}/x"),
        *(f"/{target}/x HTTP/1.1", f"/{target}\t/x", f"/{other}%2e%2e/{target}", f"/.{other}/../{target}/x"),
        *(f"/{target}/%2e%2e%2f{other}/x", f"/{target}/x/%2e%2e%2f%2e%2e%2f{other}/x", f"/{target}%2f..%2f{other}%2fx"),
    )


def combination(target, other, chance):
    """Random segments and separators; one segment is the target."""
    words = [target, other, "x", target.upper(), "%" + format(ord(target[0]), "x") + target[1:], ""]
    parts = [chance.choice([*words, *PARENTS, "."]) for _ in range(chance.randint(2, 5))]
    parts.insert(chance.randint(0, len(parts)), target)
    joined = "/"
    for part in parts:
        joined += part + (chance.choice(SLASHES) if chance.random() < 0.4 else "/")
    return joined if chance.random() < 0.5 else joined.rstrip("/") + "/x"


# The value of a cookie or parameter. A server that reads another value does not matter.
VALUE = "abcdef"


def of_a_cookie():
    """Lists of `cookie` headers that a server may read as session=abcdef."""
    quoted = (
        *(VALUE, f'"{VALUE}"', "%61bcdef", "a%62cdef", "%61%62%63%64%65%66", '"\\141bcdef"', '"\\a\\b\\c\\d\\e\\f"'),
        *('"%61bcdef"', '"a\\bcdef"', '"\\141\\142\\143def"', f" {VALUE}", f"{VALUE} ", f"\t{VALUE}", f"{VALUE}\t"),
        *(f'"{VALUE}', f'{VALUE}"', f" \"{VALUE}\" ", f"{VALUE},x", f"{VALUE}%00", f"{VALUE}%20", "%2561bcdef"),
        *(f'"{VALUE}"x', f"{VALUE};", f"{VALUE};;", f"{VALUE};x=", f"{VALUE}; Path=/", f"{VALUE}\xa0"),
        # Python's str.strip removes these.
        *(f"{VALUE}\x85", f"\xa0{VALUE}", f"{VALUE}\xa0\x85", f"{VALUE}\x0b", f"{VALUE}\x1f", f'\xa0"{VALUE}"'),
    )
    for value in quoted:
        yield [f"session={value}"]
        yield [f"x=1; session={value}; y=2"]
    for name in ("session ", " session", "session\t", "%73ession", '"session"', "Session", "SESSION", "$Version=1; session"):
        yield [f"{name}={VALUE}"]
    for before, after in itertools.product((f"session={VALUE}",), ("session=zzz", "session=", "session", "session=%zz")):
        yield [f"{before}; {after}"]
        yield [f"{after}; {before}"]
        yield [before, after]
        yield [after, before]
        yield [f"{before}, {after}"]
        yield [f"{after}, {before}"]
        yield [f"{before};{after}"]
        yield [f"{after};{before}"]
        yield [f"{before}\t;{after}"]
    for broken in ('x="', "x=\"a; b", "=; ", ";", ";;", "x", "x=\x80", "a=b,c", 'x="\\"', "__proto__=1", "{}=1", "[x]=1", "@=2"):
        yield [f"{broken}; session={VALUE}"]
        yield [f"session={VALUE}; {broken}"]
        yield [f"{broken};session={VALUE}"]
        yield [f"{broken}, session={VALUE}"]
        yield [f"{broken} session={VALUE}"]
    yield [f"session={VALUE}" + "; x=1" * 300]
    yield ["x=1; " * 300 + f"session={VALUE}"]
    yield [f"session=j:\"{VALUE}\""]
    yield [f"session=j:%22{VALUE}%22"]


def of_a_query():
    """Queries that a server may read as k=abcdef."""
    names = ("k", "%6b", "%6B", "k[]", "k[0]", "k%5b%5d", "+k", "k+", "%20k", "K", "k%00", "%00k", "%256b", "k[x]", "k.0")
    values = (VALUE, "%61bcdef", "%61%62%63%64%65%66", f"{VALUE}%00", f"{VALUE}+", f"+{VALUE}", "%2561bcdef", "a%62c%64ef")
    for name, value in itertools.product(names, values):
        yield f"{name}={value}"
    for last in (";1", ";k=1", "#x", "%23x", "%26k=1", "&", "&&", "&k", "&k=", "&k=zzz", "&%6b=zzz", ";", ",x", "?", "&k[]=z"):
        yield f"k={VALUE}{last}"
    for first in ("k=zzz&", "k&", "k=&", "&", "&&", "?", "x;", "x=1;", ";", "%6b=zzz&", "k[]=z&", "x=1&amp;", "x=%zz&", "x=%80&", "#", "="):
        yield f"{first}k={VALUE}"
    yield "x=1&" * 1200 + f"k={VALUE}"
    yield f"k={VALUE}" + "&x=1" * 1200


def of_a_host():
    """Hosts that name shop.example."""
    names = ("shop.example", "SHOP.example", "Shop.Example", "shop.example.", "sh%6fp.example", "shop.example..", ".shop.example")
    ports = ("", ":80", ":", ":080", ":0080", ":443", ":8080", ":65536", ":x", ":80:80", ":+80", ": 80")
    yield from (name + port for name, port in itertools.product(names, ports))
    yield from ("user@shop.example", "user:pw@shop.example", "shop.example/", "shop.example/x", "shop.example?x", "shop.example#x")
    yield from ("shop.example, other.example", "other.example, shop.example", "shop.example,", "shop.example\t", "http://shop.example")
    yield from ("shop%2eexample", "shop\u3002example", "ｓhop.example", "shop.example\\", "shop_example", "@shop.example")


HOST_FORMS_IPV6 = ("[::1]", "[0:0:0:0:0:0:0:1]", "[::0001]", "[0::1]", "[::0:1]", "[::1]:80", "[::0.0.0.1]", "[::1%25lo]", "[::1%lo]", "[::1].")


def of_a_header(name):
    """Names that a server may read as this one."""
    words = name.split("-")
    yield from ("_".join(words), "_".join(words).upper(), name.upper(), name.title(), "_".join(words).title())
    if len(words) > 2:
        for number in range(1, len(words)):
            yield "-".join(words[:number]) + "_" + "-".join(words[number:])
    yield from (name + " ", name + "\t", " " + name, name.replace("-", "."), name.replace("-", " "), name.replace("-", "--"))
    yield from (name + "_", "_" + name, name + "-", "http_" + "_".join(words), "HTTP-" + name, name.replace("-", "\u2010"))


METHODS = ("post", "Post", "pOST", "POST ", " POST", "POST\t", "P%4fST", "POSTS", "XPOST", "POST\0", "POST,GET", "Ｐost")

# Headers and parameters that override the method in some frameworks or their plugins.
OVERRIDES = ("x-http-method-override", "x-http-method", "x-method-override", "x_http_method_override")


def unique(spellings):
    return [each.encode("latin-1", "replace") if isinstance(each, str) else each for each in dict.fromkeys(spellings)]
