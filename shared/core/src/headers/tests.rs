#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn map(entries: &[(&'static str, &'static str)]) -> HeaderMap {
    HeaderMap::new(
        entries
            .iter()
            .map(|(name, value)| (Bytes::from_static(name.as_bytes()), (*value).into()))
            .collect(),
    )
}

fn lines(map: &HeaderMap) -> Vec<String> {
    map.iter()
        .map(|(name, value)| {
            format!(
                "{}: {}",
                String::from_utf8_lossy(name),
                String::from_utf8_lossy(value)
            )
        })
        .collect()
}

/// The changes as a host gets them.
fn changes(map: &HeaderMap) -> Vec<Recorded> {
    let owned = |change: Change<'_>| match change {
        Change::Set(name, value) => Recorded::Set(name.clone(), value.clone()),
        Change::Append(name, value) => Recorded::Append(name.clone(), value.clone()),
        Change::Remove(name) => Recorded::Remove(name.clone()),
        Change::SetLines(name, lines) => Recorded::SetLines(name.clone(), lines.to_vec()),
    };
    map.changes().map(owned).collect()
}

#[test]
fn set_leaves_one_line_where_the_first_stood() {
    let mut headers = map(&[("a", "1"), ("x", "old"), ("b", "2"), ("x", "older")]);
    headers.set("x".into(), "new".into());
    assert_eq!(lines(&headers), ["a: 1", "x: new", "b: 2"]);
}

#[test]
fn removing_what_is_not_there_is_no_change() {
    let mut headers = map(&[("a", "1")]);
    assert!(!headers.remove("b".into()));
    assert!(!headers.is_changed());
    assert!(headers.remove("a".into()));
    assert_eq!(changes(&headers), [Recorded::Remove("a".into())]);
}

#[test]
fn the_last_value_of_a_header_is_the_only_change() {
    let mut headers = map(&[("a", "1")]);
    headers.set("x".into(), "1".into());
    headers.set("a".into(), "2".into());
    headers.set("x".into(), "2".into());
    let set = |name, value| Recorded::Set(Bytes::from_static(name), Bytes::from_static(value));
    assert_eq!(changes(&headers), [set(b"x", b"2"), set(b"a", b"2")]);
    headers.append("a".into(), "3".into());
    headers.set("a".into(), "4".into());
    assert_eq!(changes(&headers), [set(b"x", b"2"), set(b"a", b"4")]);
    assert_eq!(lines(&headers), ["a: 4", "x: 2"]);
}

#[test]
fn a_removal_is_the_only_change() {
    let mut headers = map(&[("a", "1")]);
    headers.append("a".into(), "2".into());
    headers.append("y".into(), "1".into());
    assert!(headers.remove("a".into()));
    assert!(headers.remove("y".into()));
    let remove = |name| Recorded::Remove(Bytes::from_static(name));
    assert_eq!(changes(&headers), [remove(b"a"), remove(b"y")]);
    headers.append("a".into(), "3".into());
    let set = Recorded::Set("a".into(), "3".into());
    assert_eq!(changes(&headers), [set, remove(b"y")]);
    assert!(headers.remove("a".into()));
    assert_eq!(changes(&headers), [remove(b"a"), remove(b"y")]);
}

/// What a host does with changes, one after the other.
fn carried_out(received: &[(&'static str, &'static str)], changes: &[Recorded]) -> HeaderMap {
    let mut headers = map(received);
    for change in changes {
        let name = change.name().clone();
        match change {
            Recorded::Set(_, value) => headers.replace_lines(&name, std::slice::from_ref(value)),
            Recorded::Append(_, value) => {
                let line = Line::new(name, value.clone());
                headers.received.lines.push(line);
            }
            Recorded::Remove(_) => headers.replace_lines(&name, &[]),
            Recorded::SetLines(_, lines) => headers.replace_lines(&name, lines),
        }
    }
    headers
}

/// Every sequence of four steps on a header that was received and on one that was not.
#[test]
fn the_changes_lead_to_what_policies_saw() {
    let received = [("a", "0"), ("b", "0"), ("a", "1")];
    for code in 0..8_usize.pow(4) {
        let mut headers = map(&received);
        for step in 0..4_u32 {
            let choice = code / 8_usize.pow(step) % 8;
            let name = Bytes::from_static(if choice < 4 { b"a" } else { b"c" });
            let value = Bytes::from(format!("{step}"));
            match choice % 4 {
                0 => headers.set(name, value),
                1 => headers.append(name, value),
                2 => drop(headers.remove(name)),
                _ => headers.set_lines(name, vec![value.clone(), value]),
            }
        }
        let sent = carried_out(&received, &changes(&headers));
        for name in ["a", "b", "c"] {
            let of = |map: &HeaderMap| map.get_all(name).cloned().collect::<Vec<_>>();
            assert_eq!(of(&sent), of(&headers), "{name} after {code:o}");
        }
    }
}

/// Every sequence of four changes that are possible without reading.
#[test]
fn changes_before_the_first_reading_count() {
    let received = [("a", "0"), ("b", "0"), ("a", "1")];
    for code in 0..4_usize.pow(4) {
        let (mut unread, mut read) = (HeaderMap::unread(), map(&received));
        for step in 0..4_u32 {
            let choice = code / 4_usize.pow(step) % 4;
            let name = Bytes::from_static(if choice < 2 { b"a" } else { b"c" });
            let value = Bytes::from(format!("{step}"));
            for headers in [&mut unread, &mut read] {
                match choice % 2 {
                    0 => headers.set(name.clone(), value.clone()),
                    _ => headers.append(name.clone(), value.clone()),
                }
            }
        }
        let sent = carried_out(&received, &changes(&unread));
        unread.read(map(&received).received);
        assert!(!unread.is_unread());
        assert_eq!(lines(&unread), lines(&read), "{code:o}");
        for name in ["a", "b", "c"] {
            let of = |map: &HeaderMap| map.get_all(name).cloned().collect::<Vec<_>>();
            assert_eq!(of(&sent), of(&read), "{name} after {code:o}");
        }
    }
}

#[test]
fn each_spelling_is_removed_under_its_own_name() {
    let spelled = [
        ("x_user", "1"),
        ("a", "0"),
        ("x-user", "2"),
        ("x.user", "3"),
    ];
    let mut headers = map(&[&spelled[..], &[("x_user", "4")]].concat());
    assert_eq!(headers.spellings("x-user").count(), 4);
    let mut cleaned = headers.clone();
    assert!(cleaned.remove_other_spellings("x-user"));
    assert_eq!(lines(&cleaned), ["a: 0", "x-user: 2"]);
    assert!(headers.remove_spellings("x-user"));
    assert_eq!(lines(&headers), ["a: 0"]);
    let names = ["x_user", "x-user", "x.user"];
    assert_eq!(
        changes(&headers),
        names.map(|name| Recorded::Remove(name.into()))
    );
    assert!(!headers.remove_spellings("x-user"));
}

#[test]
fn lines_are_kept_apart_and_in_order() {
    let mut headers = map(&[("set-cookie", "a=1"), ("z", "0"), ("set-cookie", "b=2")]);
    headers.set_lines(
        "set-cookie".into(),
        vec!["a=1; Secure".into(), "b=2".into()],
    );
    assert_eq!(
        lines(&headers),
        ["set-cookie: a=1; Secure", "set-cookie: b=2", "z: 0"]
    );
    assert_eq!(headers.get_all("set-cookie").count(), 2);
    assert_eq!(headers.get("set-cookie").unwrap(), "a=1; Secure");
}
