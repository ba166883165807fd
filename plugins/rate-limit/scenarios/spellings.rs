//! All spellings of a value are one key, as servers read them.

use serde_json::{Value, json};

use super::keys::{assert_counted_apart, one_per_key};
use super::{scenario, statuses};
use crate::{Request, Scenario, World};

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        scenario(
            "rate_limit::a_cookie_has_one_bucket_for_all_its_spellings",
            one_per_key(json!([{"cookie": "session"}])),
            a_cookie_has_one_bucket_for_all_its_spellings,
        ),
        scenario(
            "rate_limit::a_parameter_has_one_bucket_for_all_its_spellings",
            one_per_key(json!([{"query": "k"}])),
            a_parameter_has_one_bucket_for_all_its_spellings,
        ),
        scenario(
            "rate_limit::a_header_has_one_bucket_for_all_its_spellings",
            one_per_key(json!([{"header": "x-key"}])),
            a_header_has_one_bucket_for_all_its_spellings,
        ),
        scenario(
            "rate_limit::an_address_has_one_bucket_for_all_its_spellings",
            one_per_key(json!(["host"])),
            an_address_has_one_bucket_for_all_its_spellings,
        ),
        scenario(
            "rate_limit::an_ambiguous_key_is_neither_skipped_nor_admitted",
            json!({"limits": [
                limit("skip-cookie", json!({"cookie": "session"}), "skip", "/skip"),
                limit("skip-query", json!({"query": "k"}), "skip", "/query"),
                limit("deny", json!({"cookie": "session"}), "deny", "/deny"),
            ]}),
            an_ambiguous_key_is_neither_skipped_nor_admitted,
        ),
    ]
}

fn limit(name: &str, part: Value, missing: &str, path: &str) -> Value {
    json!({
        "name": name, "key": [part], "missing": missing,
        "match": {"path": {"exact": path}}, "rate": {"requests": 1, "per": "1h"},
    })
}

fn cookie(value: &str) -> Request {
    Request::get("/").header("cookie", value)
}

fn a_cookie_has_one_bucket_for_all_its_spellings(world: &mut dyn World) {
    assert_counted_apart(
        world,
        [
            vec![
                cookie("session=abcdef"),
                // Express.
                cookie("session=%61bcdef"),
                cookie("session=a%62cdef"),
                cookie("session=\"%61bcdef\""),
                // Flask, Starlette, Django.
                cookie(r#"session="\141bcdef""#),
                cookie(r#"session="\a\b\c\d\e\f""#),
                cookie(r#"session="\141%62cdef""#),
                // An application that decodes once more.
                cookie("session=%2561bcdef"),
                cookie("session=abcdef; session=%61bcdef"),
            ],
            vec![cookie("session=YWJj+/==")],
            vec![cookie("session=YWJk+/==")],
            vec![cookie("session=s%3Aabc.d%2Be")],
            // Servers read different values here: the requests share a bucket with those without a cookie.
            vec![
                Request::get("/"),
                cookie("session=a; session=b"),
                cookie("session=a,1"),
                cookie("session=a secure"),
                cookie("session=\"a;1\""),
                cookie("session=j:\"abcdef\""),
                cookie("session=a%00b"),
                cookie("s%65ssion=a"),
                cookie("x=1,session=a"),
                cookie("=session=a"),
            ],
        ],
    );
}

fn a_parameter_has_one_bucket_for_all_its_spellings(world: &mut dyn World) {
    assert_counted_apart(
        world,
        [
            vec![
                Request::get("/?k=ab"),
                Request::get("/?k=%61b"),
                Request::get("/?%6b=a%62"),
                Request::get("/?k=%2561b"),
                Request::get("/?k=ab+"),
                Request::get("/?k=ab&k=%61b"),
                Request::get("/?k=ab&K=ab"),
            ],
            // Not UTF-8: U+FFFD to Flask and Starlette.
            vec![
                Request::get("/?k=%ff"),
                Request::get("/?k=%fe"),
                Request::get("/?k=%ef%bf%bd"),
            ],
            vec![Request::get("/?k=a%3Bb")],
            vec![Request::get("/?k=a%26b")],
            vec![
                Request::get("/"),
                Request::get("/?k=ab;1"),
                Request::get("/?k=ab;2"),
                Request::get("/?x=1;k=ab"),
                Request::get("/?k=a&k=b"),
                Request::get("/?k[]=a"),
                Request::get("/?k%5B0%5D=a"),
                Request::get("/?[k]=a"),
                Request::get("/?K=a"),
                Request::get("/?k=a%00b"),
                Request::get("/?k=%c1%a1"),
            ],
        ],
    );
}

fn a_header_has_one_bucket_for_all_its_spellings(world: &mut dyn World) {
    let with = |value: &str| Request::get("/").header("x-key", value);
    let of_cgi = |value: &str| Request::get("/").header("x_key", value);
    assert_counted_apart(
        world,
        [
            vec![
                with("a"),
                with("a").header("x-key", "a"),
                with("a").header("x_key", "a"),
                with("a, a"),
                // wsgiref strips this.
                Request::get("/").header("x-key", b"a\xa0"),
            ],
            vec![with("a,b"), with("a, b")],
            vec![
                Request::get("/"),
                of_cgi("a"),
                of_cgi("b"),
                with("c").header("x_key", "d"),
            ],
        ],
    );
}

fn an_address_has_one_bucket_for_all_its_spellings(world: &mut dyn World) {
    let to = |host| Request::get("/").host(host);
    assert_counted_apart(
        world,
        [
            vec![
                to("[::1]"),
                to("[0:0:0:0:0:0:0:1]"),
                to("[::0001]:8080"),
                to("[0::0.0.0.1]"),
            ],
            vec![to("[::2]")],
            vec![
                to("127.0.0.1"),
                to("127.0.0.1:8080"),
                to("127.1"),
                to("0x7f.1"),
                to("0177.0.0.1"),
                to("2130706433"),
                to("[::ffff:127.0.0.1]"),
            ],
            vec![to("a.example"), to("A.EXAMPLE.:80"), to("a.example..")],
        ],
    );
}

fn an_ambiguous_key_is_neither_skipped_nor_admitted(world: &mut dyn World) {
    let with = |path: &str, cookie: &str| Request::get(path).header("cookie", cookie);
    assert_eq!(statuses(world, &Request::get("/skip"), 2), [200; 2]);
    assert_eq!(statuses(world, &Request::get("/query"), 2), [200; 2]);
    assert_counted_apart(
        world,
        [
            vec![
                with("/skip", "session=a; session=b"),
                with("/skip", "session=c; session=d"),
                with("/skip", "x=1,session=e"),
                with("/skip", "Session=f"),
                with("/skip", "session=%20"),
            ],
            vec![
                Request::get("/query?k=a;1"),
                Request::get("/query?k=a&k=b"),
                Request::get("/query?x;k=c"),
                Request::get("/query?k[]=d"),
            ],
        ],
    );
    let two = with("/deny", "session=a; session=b");
    assert_eq!(statuses(world, &two, 1), [429]);
    assert_eq!(statuses(world, &with("/deny", "session=a"), 1), [200]);
}
