//! The directives that browsers support, and their values.

use super::NONCE;
use super::source;

/// A directive.
#[derive(Debug)]
pub(super) struct Directive {
    pub(super) name: &'static str,
    content: Content,
}

/// The kind of items in a directive's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// Sources.
    Sources,
    /// Sources, including nonces.
    SourcesOrNonce,
    /// Sites that may frame the page: `'self'`, schemes and hosts.
    Ancestors,
    /// Permissions of a sandboxed page.
    SandboxFlags,
    /// `'script'`.
    SinkGroup,
    /// Names of Trusted Types policies.
    TrustedTypes,
    /// `'allow'` or `'block'`.
    WebRtc,
    /// The name of one endpoint of `reporting_endpoints`.
    Endpoint,
    /// URLs.
    Urls,
    /// Nothing.
    Nothing,
}

use Content::*;

/// The directives of CSP Level 3, of Trusted Types and of fenced frames. Directives that browsers have dropped
/// (`plugin-types`, `block-all-mixed-content` and others) have no effect, so they are not listed.
pub(super) static DIRECTIVES: [Directive; 27] = [
    directive("base-uri", Sources),
    directive("child-src", Sources),
    directive("connect-src", Sources),
    directive("default-src", SourcesOrNonce),
    directive("fenced-frame-src", Sources),
    directive("font-src", Sources),
    directive("form-action", Sources),
    directive("frame-ancestors", Ancestors),
    directive("frame-src", Sources),
    directive("img-src", Sources),
    directive("manifest-src", Sources),
    directive("media-src", Sources),
    directive("object-src", Sources),
    directive("report-to", Endpoint),
    directive("report-uri", Urls),
    directive("require-trusted-types-for", SinkGroup),
    directive("sandbox", SandboxFlags),
    directive("script-src", SourcesOrNonce),
    // Nonces apply to elements, not to attributes such as `onclick`.
    directive("script-src-attr", Sources),
    directive("script-src-elem", SourcesOrNonce),
    directive("style-src", SourcesOrNonce),
    directive("style-src-attr", Sources),
    directive("style-src-elem", SourcesOrNonce),
    directive("trusted-types", TrustedTypes),
    directive("upgrade-insecure-requests", Nothing),
    directive("webrtc", WebRtc),
    directive("worker-src", Sources),
];

const fn directive(name: &'static str, content: Content) -> Directive {
    Directive { name, content }
}

/// The flags of HTML's `sandbox` attribute.
const SANDBOX_FLAGS: [&str; 14] = [
    "allow-downloads",
    "allow-forms",
    "allow-modals",
    "allow-orientation-lock",
    "allow-pointer-lock",
    "allow-popups",
    "allow-popups-to-escape-sandbox",
    "allow-presentation",
    "allow-same-origin",
    "allow-scripts",
    "allow-storage-access-by-user-activation",
    "allow-top-navigation",
    "allow-top-navigation-by-user-activation",
    "allow-top-navigation-to-custom-protocols",
];

impl Directive {
    pub(super) fn find(name: &str) -> Option<&'static Self> {
        DIRECTIVES.iter().find(|directive| directive.name == name)
    }

    /// Checks one item of the value. The error describes the expected items.
    pub(super) fn check_item(&self, item: &str) -> Result<(), String> {
        let is_word = |byte: u8| byte.is_ascii_graphic() && byte != b';' && byte != b',';
        if item.is_empty() || !item.bytes().all(is_word) {
            return Err(
                "visible ASCII without spaces, commas or semicolons, and one source per item"
                    .to_owned(),
            );
        }
        match self.content {
            Sources if item == NONCE => Err(format!(
                "another source: a nonce has no effect here, only in {}",
                names_with(SourcesOrNonce)
            )),
            SourcesOrNonce if item == NONCE => Ok(()),
            Sources | SourcesOrNonce => source::check(item),
            Ancestors => source::check_ancestor(item),
            SandboxFlags => one_of(&SANDBOX_FLAGS, item),
            SinkGroup => one_of(&["'script'"], item),
            TrustedTypes => check_trusted_type(item),
            WebRtc => one_of(&["'allow'", "'block'"], item),
            // A token and a URL have no further structure to check.
            Endpoint | Urls => Ok(()),
            Nothing => Err("an empty list: this directive has no value".to_owned()),
        }
    }

    /// Checks the number of items, each of which is valid by itself.
    pub(super) fn check_list(&self, items: &[String]) -> Result<(), &'static str> {
        let may_be_empty = matches!(self.content, SandboxFlags | Nothing);
        let must_be_one = matches!(self.content, SinkGroup | WebRtc | Endpoint);
        if items.is_empty() && !may_be_empty {
            return Err(match must_be_one {
                true => "found an empty list; expected one item",
                false => "found an empty list; expected [\"'none'\"] to allow nothing",
            });
        }
        if items.len() > 1 && must_be_one {
            return Err("found several items; expected one");
        }
        if items.len() > 1 && items.iter().any(|item| item == source::NOTHING) {
            return Err("found \"'none'\" and others; expected \"'none'\" alone");
        }
        Ok(())
    }
}

fn names_with(content: Content) -> String {
    let names: Vec<&str> = DIRECTIVES
        .iter()
        .filter(|directive| directive.content == content)
        .map(|directive| directive.name)
        .collect();
    names.join(", ")
}

fn one_of(allowed: &[&str], item: &str) -> Result<(), String> {
    match allowed.contains(&item) {
        true => Ok(()),
        false => Err(format!("one of: {}", allowed.join(", "))),
    }
}

fn check_trusted_type(item: &str) -> Result<(), String> {
    let is_name = item
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-#=_/@.%".contains(&byte));
    match is_name || matches!(item, "*" | source::NOTHING | "'allow-duplicates'") {
        true => Ok(()),
        false => Err("the name of a policy, *, 'none' or 'allow-duplicates'".to_owned()),
    }
}
