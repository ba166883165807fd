//! All spellings of a value are one key, and no spelling evades the limit.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

/// One bucket for each value, one request in each.
fn world(part: &Value, missing: &str) -> World {
    World::new(one_limit(json!({"key": [part], "missing": missing})))
}

/// Asserts that requests with these values of a header share one bucket.
fn assert_one_bucket(part: Value, header: &str, values: &[&str]) {
    for (i, value) in values.iter().enumerate() {
        for other in &values[i..] {
            let mut world = world(&part, "share");
            assert_eq!(world.admitted(1, &[(header, value)]), 1);
            let admitted = world.admitted(1, &[(header, other)]);
            assert_eq!(admitted, 0, "{value:?} and {other:?} by {part}");
        }
    }
}

fn assert_buckets_apart(part: Value, header: &str, values: &[&str]) {
    let mut world = world(&part, "share");
    for value in values {
        assert_eq!(
            world.admitted(2, &[(header, value)]),
            1,
            "{value:?} by {part}"
        );
    }
}

/// Asserts that each of these requests is counted: it is not skipped as missing, and has no bucket of its own.
fn assert_no_way_out(part: Value, requests: &[&[(&str, &str)]]) {
    let mut skip = world(&part, "skip");
    let mut admitted = 0;
    for request in requests {
        let checks = skip.send(request);
        assert_eq!(checks.checks().len(), 1, "{request:?} is skipped by {part}");
        admitted += usize::from(outcomes(&checks) == [Outcome::Admitted]);
    }
    assert_eq!(admitted, 1, "all of them share one bucket by {part}");
    let mut deny = world(&part, "deny");
    for request in requests {
        let denied = outcomes(&deny.send(request));
        assert_eq!(denied, [Outcome::Denied(Reason::MissingKey)], "{request:?}");
    }
}

#[test]
fn a_cookie_has_one_bucket_for_all_spellings() {
    assert_one_bucket(
        json!({"cookie": "session"}),
        "cookie",
        &[
            "session=abcdef",
            "session=%61bcdef",
            "session=a%62cde%66",
            "session=%2561bcdef",
            "session=%u0061bcdef",
            r#"session="abcdef""#,
            r#"session="\141bcdef""#,
            r#"session="\a\b\c\d\e\f""#,
            r#"session="%5c141bcdef""#,
            r#"session="\%61bcdef""#,
            "session= \tabcdef ",
            "a=1;session=abcdef; session=abcdef",
            "session=abcdef; s%65ssion=abcdef",
            "session=abcdef; SESSION=%61bcdef",
        ],
    );
}

#[test]
fn cookies_of_different_values_have_different_buckets() {
    assert_buckets_apart(
        json!({"cookie": "session"}),
        "cookie",
        &[
            "session=dGVzdA==",
            "session=dGVzdB==",
            "session=a/b",
            "session=a+b",
            "session=a%2Fc",
            "session=s%3Aab.c%2Bd",
            "session=%7B%22user%22%3A1%2C%22x%22%3A2%7D",
            "session=%7B%22user%22%3A2%2C%22x%22%3A2%7D",
            r#"session={"user":3}"#,
            r#"session="a  b""#,
            "session=%C3%A9",
            "session=%C3%A8",
            "session=a&b=1",
        ],
    );
}

#[test]
fn a_cookie_that_servers_read_in_different_ways_is_no_way_out() {
    let cookies = [
        "session=a; session=b",
        "session=; session=b",
        "session=b; SESSION=c",
        "SESSION=c",
        "s%65ssion=d",
        "session[]=e",
        "session[x]=e",
        "=session=f",
        "x=1,session=g",
        "x=1 session=h",
        "session=a,b",
        "session=a secure",
        "session=a path=/x",
        "session=\"a",
        "session=a\"",
        "session=\"a;1\"",
        "session=\"a\" x",
        "session=j:\"a\"",
        "session=j%3A%20%22\\u0061%22",
        "session=a%00b",
        "session=%c1%a1",
        r#"session="\%3141""#,
        "session=%20",
        "session=a; session",
    ];
    let lines: Vec<_> = cookies.iter().map(|cookie| [("cookie", *cookie)]).collect();
    let mut requests: Vec<&[(&str, &str)]> = lines.iter().map(|line| &line[..]).collect();
    requests.push(&[("cookie", "session=a"), ("cookie", "session=b")]);
    assert_no_way_out(json!({"cookie": "session"}), &requests);
}

#[test]
fn a_parameter_has_one_bucket_for_all_spellings() {
    assert_one_bucket(
        json!({"query": "key"}),
        ":path",
        &[
            "/?key=ab",
            "/?key=%61b",
            "/?%6b%65y=a%62&x=1",
            "/x?key=%2561b",
            "/?x&key=%u0061b",
            "/?key=ab+",
            "/?key=ab%20",
            "/?key=ab&key=%61b",
            "/?key=ab&KEY=%61b",
            "/?key=ab&key[]=ab",
        ],
    );
    assert_one_bucket(
        json!({"query": "key"}),
        ":path",
        &["/?key=%ff", "/?key=%fe", "/?key=%ff%fe", "/?key=%ef%bf%bd"],
    );
    assert_one_bucket(
        json!({"query": "key"}),
        ":path",
        &["/?key=a+b", "/?key=a%20b", "/?key=a%2Bb", "/?key=a%252Bb"],
    );
}

#[test]
fn parameters_of_different_values_have_different_buckets() {
    assert_buckets_apart(
        json!({"query": "key"}),
        ":path",
        &[
            "/?key=ab",
            "/?key=AB",
            "/?key=a%3Bb",
            "/?key=a%23b",
            "/?key=a%26b",
            "/?key=a=b",
            "/?key=100%25",
            "/?key=%C3%A9",
            "/?key=%E9",
            "/?key=\"ab\"",
            "/?key=a\\b",
            "/?key=a,b",
        ],
    );
    // Members of a list or table are separate parameters.
    assert_buckets_apart(
        json!({"query": "filter[id]"}),
        ":path",
        &[
            "/?filter[id]=1&filter[name]=x",
            "/?filter%5Bid%5D=2&filter%5Bname%5D=x",
        ],
    );
}

#[test]
fn a_parameter_that_servers_read_in_different_ways_is_no_way_out() {
    let paths = [
        "/?key=ab;1",
        "/?key=ab;2",
        "/?x=1;key=ab",
        "/?amp;key=ab",
        "/?key=ab#1",
        "/?x#key=ab",
        "/?key=a&key=b",
        "/?key=&key=b",
        "/?key&key=b",
        "/?key[]=a",
        "/?key%5B0%5D=a",
        "/?key[a][b]=a",
        "/?[key]=a",
        "/?KEY=a",
        "/?+key=a",
        "/?key%00=a",
        "/?k%2565y=a",
        "/?x?key=a",
        "/??key=a",
        "/?key=a%00b",
        "/?key=%c0%af",
        "/?key=%20",
    ];
    let lines: Vec<_> = paths.iter().map(|path| [(":path", *path)]).collect();
    let requests: Vec<&[(&str, &str)]> = lines.iter().map(|line| &line[..]).collect();
    assert_no_way_out(json!({"query": "key"}), &requests);
    let lines = ["/?a.key=1", "/?a%20key=1", "/?a+key=1"].map(|path| [(":path", path)]);
    let requests: Vec<&[(&str, &str)]> = lines.iter().map(|line| &line[..]).collect();
    assert_no_way_out(json!({"query": "a_key"}), &requests);
}

#[test]
fn a_header_has_one_bucket_for_all_spellings() {
    let part = json!({"header": "x-key"});
    assert_one_bucket(part, "x-key", &["a", " a\t", "a, a", ",a"]);
    let mut world = world(&json!({"header": "x-key"}), "share");
    assert_eq!(world.admitted(1, &[("x-key", "a")]), 1);
    for request in [
        [("x-key", "a"), ("x-key", "a")],
        [("x-key", "a"), ("x_key", "a")],
    ] {
        assert_eq!(world.admitted(1, &request), 0, "{request:?}");
    }
    assert_no_way_out(
        json!({"header": "x-key"}),
        &[
            &[("x-key", "a"), ("x-key", "b")],
            &[("x-key", "a"), ("x-key", "")],
            &[("x-key", "a"), ("x_key", "b")],
            &[("x_key", "a")],
            &[("x.key", "b")],
            &[("x-key", ",")],
        ],
    );
    assert_buckets_apart(
        json!({"header": "x-key"}),
        "x-key",
        &["a", "A", "a,b", "b,a", "%61", "\"a\""],
    );
}

#[test]
fn a_method_has_one_bucket_in_all_letter_cases() {
    assert_one_bucket(json!("method"), ":method", &["POST", "post", "Post"]);
    assert_buckets_apart(json!("method"), ":method", &["GET", "POST"]);
}

#[test]
fn a_host_has_one_bucket_for_all_spellings() {
    let names = [
        "a.example",
        "A.Example",
        "a.example.",
        "a.example..",
        "a.example:8443",
        "%61.example",
    ];
    assert_one_bucket(json!("host"), ":authority", &names);
    let v6 = [
        "[2001:db8::1]",
        "[2001:DB8::1]:443",
        "[2001:db8:0:0:0:0:0:1]",
        "[2001:0db8::0001]",
        "[2001:db8::1%25eth0]",
        "[2001:db8::0.0.0.1]",
    ];
    assert_one_bucket(json!("host"), ":authority", &v6);
    let loopback = ["[::1]", "[0:0:0:0:0:0:0:1]", "[::0001]:80", "[::1%eth0]"];
    assert_one_bucket(json!("host"), ":authority", &loopback);
    let v4 = [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "0x7f.1",
        "0177.0.0.01",
        "2130706433",
        "0x7f000001:80",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
    ];
    assert_one_bucket(json!("host"), ":authority", &v4);
    assert_buckets_apart(
        json!("host"),
        ":authority",
        &[
            "a.example",
            "b.example",
            "[::1]",
            "[::2]",
            "127.0.0.1",
            "127.0.0.2",
            "1.2.3.4.5",
            "0x",
        ],
    );
}

#[test]
fn a_host_that_servers_read_in_different_ways_is_no_way_out() {
    let hosts = [
        "user@a.example",
        "x:y@a.example",
        "a@b@c",
        "a.example,b.example",
        "a.example b.example",
        "a.example/x",
        "@",
    ];
    let lines: Vec<_> = hosts.iter().map(|host| [(":authority", *host)]).collect();
    let requests: Vec<&[(&str, &str)]> = lines.iter().map(|line| &line[..]).collect();
    assert_no_way_out(json!("host"), &requests);
}
