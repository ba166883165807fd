//! Header names as the servers behind Envoy read them.
//!
//! HTTP compares names byte by byte, ignoring letter case, and so does Envoy. Many servers pass headers to the
//! application under a different name, and several names become one:
//!
//! | server | common name of `x_user` and `x-user` | other characters that become `_` |
//! |---|---|---|
//! | CGI (RFC 3875, section 4.1.18), FastCGI, SCGI, uwsgi; WSGI (PEP 3333: wsgiref, Werkzeug, waitress, gunicorn before 22.0 or with `header_map = "dangerous"`); Rack (Puma, Unicorn) | `HTTP_X_USER` | |
//! | lighttpd, Apache httpd 2.2, nginx with `underscores_in_headers on` | `HTTP_X_USER` | all except letters and digits (lighttpd, httpd) |
//! | PHP's `$_SERVER` (`php_register_variable_ex`) | `HTTP_X_USER` | `.` |
//!
//! Node, Java servlets, Go, ASP.NET and ASGI servers keep names as they are, so only the exact name matters to them.
//! Treating other names as its spellings does no harm there.
//!
//! The comparison follows the coarsest of these interpretations: it ignores letter case, and all bytes except ASCII
//! letters and digits count as equal. No server drops or merges bytes, so `x--user` and `x-user` are different names
//! for all of them, and here.

/// Whether a server may read the header `name` as the header `canonical`: the names are equal if letter case is
/// ignored and all bytes except letters and digits count as equal.
pub fn is_spelling_of(name: &[u8], canonical: &str) -> bool {
    let canonical = canonical.as_bytes();
    let is_same = |(left, right): (&u8, &u8)| {
        left.eq_ignore_ascii_case(right)
            || !(left.is_ascii_alphanumeric() || right.is_ascii_alphanumeric())
    };
    // Nearly always, the name itself is the only one of this length.
    name.len() == canonical.len() && (name == canonical || name.iter().zip(canonical).all(is_same))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn separators_and_letter_case_do_not_count() {
        for spelling in ["x-user", "x_user", "X.User", "x~user", "x|USER", "x!user"] {
            assert!(is_spelling_of(spelling.as_bytes(), "x-user"), "{spelling}");
        }
    }

    #[test]
    fn another_name_is_no_spelling() {
        for other in [
            "", "xuser", "x--user", "x-user-", "-x-user", "x-usar", "x0user", "xx-user",
        ] {
            assert!(!is_spelling_of(other.as_bytes(), "x-user"), "{other}");
        }
    }

    /// The CGI variables that the servers named above make from a name.
    fn variables(name: &str) -> [String; 3] {
        let name = name.to_ascii_uppercase();
        [
            name.replace('-', "_"),
            name.replace(['-', '.'], "_"),
            name.replace(|character: char| !character.is_ascii_alphanumeric(), "_"),
        ]
    }

    proptest! {
        #[test]
        fn what_any_server_takes_for_one_name_is_one_spelling(
            left in "[a-cA-C0!#$%&'*+.^_`|~-]{1,4}",
            right in "[a-cA-C0!#$%&'*+.^_`|~-]{1,4}",
        ) {
            let (mut left_reads, right_reads) = (variables(&left).into_iter(), variables(&right));
            let meets = left_reads.any(|variable| right_reads.contains(&variable));
            if meets {
                prop_assert!(is_spelling_of(left.as_bytes(), &right));
                prop_assert!(is_spelling_of(right.as_bytes(), &left));
            }
        }
    }
}
