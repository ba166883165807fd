//! The choices that servers have when they read a path.

use super::{MAX_CHOICES, MAX_WORK, canonical};
use crate::readings::percent::{Unit, Units, has_encoding, starts_with_digits};

/// The result of one scan over a target.
pub(super) enum Scan<'a> {
    /// The path has one variant: itself.
    Plain(&'a [u8]),
    /// The path contains only encodings that every server decodes.
    Encoded(&'a [u8]),
    /// The path leaves choices.
    Choices(&'a [u8]),
    TooMany,
}

/// Scans a target that starts with `/`, up to the query.
pub(super) fn scan(target: &[u8]) -> Scan<'_> {
    if let Some(path) = canonical::plain_part(target) {
        return Scan::Plain(path);
    }
    let end = target.iter().position(|byte| *byte == b'?');
    let path = end.and_then(|end| target.get(..end)).unwrap_or(target);
    let mut is_choice = has_choice_between_slashes(path);
    let mut units = Units::of(path);
    while let Some(unit) = units.next() {
        match unit {
            Unit::Plain(0..=b' ' | 0x7f.. | b'#') => return Scan::TooMany,
            Unit::Plain(b'%') if is_code_unit(units.rest()) => return Scan::TooMany,
            Unit::Plain(b';' | b'\\') => is_choice = true,
            Unit::Plain(_) => {}
            Unit::Encoded(byte, _) => match Encoded::of(byte, units.rest()) {
                Encoded::Hostile => return Scan::TooMany,
                Encoded::Choice => is_choice = true,
                Encoded::Benign => {}
            },
        }
    }
    match is_choice {
        true => Scan::Choices(path),
        false => Scan::Encoded(path),
    }
}

/// Whether a segment is empty, `.` or `..` (the final one may be empty).
fn has_choice_between_slashes(path: &[u8]) -> bool {
    let mut segments = path.split(|byte| *byte == b'/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_final = segments.peek().is_none();
        match segment {
            b"." | b".." => return true,
            b"" if !is_final => return true,
            _ => {}
        }
    }
    false
}

/// Whether `%` and this text are an encoding such as `%u002f`, which IIS decodes.
fn is_code_unit(after_percent: &[u8]) -> bool {
    matches!(after_percent, [b'u' | b'U', digits @ ..]
        if digits.iter().take(4).filter(|digit| digit.is_ascii_hexdigit()).count() == 4)
}

/// The kind of an encoded byte.
#[derive(PartialEq, Eq)]
enum Encoded {
    /// A byte that a path can contain only in encoded form.
    Benign,
    /// A byte that servers may treat differently if it is encoded.
    Choice,
    /// A spelling without a legitimate use.
    Hostile,
}

impl Encoded {
    /// The kind of an encoded byte, in front of this text.
    fn of(byte: u8, after: &[u8]) -> Self {
        let continues = |low: &[u8]| matches!(after, [b'%', high, ..] if low.contains(high));
        match byte {
            // NUL ends a C string; Starlette's routes ignore a line feed at the end of a path.
            0..=0x1f | 0x7f => Self::Hostile,
            // Overlong UTF-8 (RFC 3629, section 3), in which `%c0%af` is a slash.
            0xc0 | 0xc1 => Self::Hostile,
            0xe0 if continues(b"89") => Self::Hostile,
            0xf0 if continues(b"8") => Self::Hostile,
            b'%' => match starts_with_digits(after) {
                true => Self::Choice,
                false => Self::Benign,
            },
            b'?' | b'#' | b'/' | b'\\' => Self::Choice,
            byte if is_path_character(byte) => Self::Choice,
            _ => Self::Benign,
        }
    }
}

/// Whether a path segment may contain this byte unencoded (`pchar`, RFC 3986, section 3.3).
pub(super) fn is_path_character(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte)
}

/// How a server decodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decoding {
    /// Only the bytes that every server decodes.
    Benign,
    /// Everything except `%2f` and `%5c`, once.
    KeepSlashes,
    Once,
    Twice,
}

/// How a server reads `;`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    Nothing,
    /// Each parameter, up to the next slash.
    Parameters {
        decoded: bool,
    },
    /// Everything from the first `;` on.
    Rest {
        decoded: bool,
    },
}

/// When a server resolves dot segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dots {
    Never,
    Decoded,
    AsWritten,
    /// Before decoding, and again after it.
    Both,
    /// Before decoding, with `%2e` as a dot.
    Encoded,
}

/// When a server merges slashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Merge {
    Never,
    BeforeDots,
    AfterDots,
}

/// How a server reads two slashes at the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leading {
    Kept,
    /// A host follows, which is not part of the path.
    Authority,
    /// They count as one slash.
    Merged,
}

/// One way to read a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) leading: Leading,
    pub(super) cut: Cut,
    pub(super) decoding: Decoding,
    pub(super) ends_early: bool,
    pub(super) backslash: bool,
    pub(super) merge: Merge,
    pub(super) dots: Dots,
}

/// The choices that make a difference to a path. The first entry of each list leaves the path as it was sent.
#[derive(Debug)]
pub(super) struct Choices {
    leading: &'static [Leading],
    cut: Vec<Cut>,
    decoding: Vec<Decoding>,
    ends_early: &'static [bool],
    backslash: &'static [bool],
    merge: &'static [Merge],
    dots: &'static [Dots],
}

const NO: &[bool] = &[false];
const NO_OR_YES: &[bool] = &[false, true];

impl Choices {
    /// `None` if there are too many.
    pub(super) fn of(path: &[u8]) -> Option<Self> {
        if path.len() > MAX_WORK {
            return None;
        }
        let once = super::pipeline::decode(path, Decoding::Once);
        let decoded = super::pipeline::decode(&once, Decoding::Once);
        let is_text = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok();
        if has_encoding(&decoded)
            || decoded.iter().any(u8::is_ascii_control)
            || !is_text(&once)
            || !is_text(&decoded)
            || has_backslash_in_authority(path)
        {
            return None;
        }
        let either = |yes: bool| if yes { NO_OR_YES } else { NO };
        let has = |text: &[u8], byte: u8| text.contains(&byte);
        let is_decoded_differently = path != once;
        let has_backslash = has(&decoded, b'\\');
        let has_dots = has_dot_segment(&decoded);
        let is_plain_text = !is_decoded_differently && !has(path, b';') && !has_backslash;
        let has_empty = has_empty_segment(&decoded);
        let choices = Self {
            leading: match path {
                [b'/', b'/' | b'\\', ..] => &[Leading::Kept, Leading::Authority, Leading::Merged],
                _ => &[Leading::Kept],
            },
            cut: Self::cuts(path, &decoded),
            decoding: Self::decodings(path, &once),
            ends_early: either(decoded.iter().any(|byte| matches!(byte, b'?' | b'#'))),
            backslash: either(has_backslash),
            merge: match (has_empty, has_dots) {
                (false, _) => &[Merge::Never],
                (true, false) => &[Merge::Never, Merge::BeforeDots],
                (true, true) => &[Merge::Never, Merge::BeforeDots, Merge::AfterDots],
            },
            dots: match (has_dots, is_plain_text) {
                (false, _) => &[Dots::Never],
                (true, true) => &[Dots::Never, Dots::Decoded],
                (true, false) => &[
                    Dots::Never,
                    Dots::Decoded,
                    Dots::AsWritten,
                    Dots::Both,
                    Dots::Encoded,
                ],
            },
        };
        let count = choices.count();
        (count <= MAX_CHOICES && count * path.len() <= MAX_WORK).then_some(choices)
    }

    fn cuts(path: &[u8], decoded: &[u8]) -> Vec<Cut> {
        let mut cuts = vec![Cut::Nothing];
        let count = |text: &[u8]| text.iter().filter(|byte| **byte == b';').count();
        let (written, all) = (count(path), count(decoded));
        if written > 0 {
            cuts.push(Cut::Parameters { decoded: false });
            cuts.push(Cut::Rest { decoded: false });
        }
        if all > written {
            cuts.push(Cut::Parameters { decoded: true });
            cuts.push(Cut::Rest { decoded: true });
        }
        cuts
    }

    fn decodings(path: &[u8], once: &[u8]) -> Vec<Decoding> {
        let mut decodings = vec![Decoding::Benign];
        if super::pipeline::decode(path, Decoding::KeepSlashes) != once {
            decodings.push(Decoding::KeepSlashes);
        }
        if super::pipeline::decode(path, Decoding::Benign) != once {
            decodings.push(Decoding::Once);
        }
        if has_encoding(once) {
            decodings.push(Decoding::Twice);
        }
        decodings
    }

    fn count(&self) -> usize {
        let lists = [
            self.leading.len(),
            self.cut.len(),
            self.decoding.len(),
            self.ends_early.len(),
            self.backslash.len(),
            self.merge.len(),
            self.dots.len(),
        ];
        lists.iter().product()
    }

    /// All ways to read the path. The first one leaves it as it was sent.
    pub(super) fn combinations(&self) -> impl Iterator<Item = Choice> {
        (0..self.count()).filter_map(|number| self.combination(number))
    }

    /// The combination with this number: the positions in the lists are its digits in a mixed radix.
    fn combination(&self, mut number: usize) -> Option<Choice> {
        let mut next = |length: usize| {
            let digit = number.checked_rem(length)?;
            number /= length;
            Some(digit)
        };
        Some(Choice {
            dots: *self.dots.get(next(self.dots.len())?)?,
            merge: *self.merge.get(next(self.merge.len())?)?,
            backslash: *self.backslash.get(next(self.backslash.len())?)?,
            ends_early: *self.ends_early.get(next(self.ends_early.len())?)?,
            decoding: *self.decoding.get(next(self.decoding.len())?)?,
            cut: *self.cut.get(next(self.cut.len())?)?,
            leading: *self.leading.get(next(self.leading.len())?)?,
        })
    }
}

/// Whether a path starts like `//host\x/`: the host ends at the backslash for WHATWG URL, and at the slash for Python
/// and PHP.
fn has_backslash_in_authority(path: &[u8]) -> bool {
    let [b'/', b'/' | b'\\', host @ ..] = path else {
        return false;
    };
    let end = host.iter().find(|byte| matches!(byte, b'/' | b'\\'));
    end == Some(&b'\\')
}

/// Whether a segment may end or begin at this byte.
fn is_boundary(byte: &u8) -> bool {
    matches!(byte, b'/' | b'\\' | b';' | b'?' | b'#')
}

/// Whether some server may find a `.` or `..` segment in a decoded path.
fn has_dot_segment(decoded: &[u8]) -> bool {
    let mut segments = decoded.split(is_boundary);
    segments.any(|segment| matches!(segment, b"." | b".."))
}

/// Whether some server may find an empty segment that is not the last one.
fn has_empty_segment(decoded: &[u8]) -> bool {
    let is_slash = |byte: &u8| matches!(byte, b'/' | b'\\');
    decoded.windows(2).any(|pair| match pair {
        [first, second] => is_slash(first) && is_boundary(second),
        _ => false,
    })
}
