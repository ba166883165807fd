//! Regular expressions that are compiled once and do not allocate when matching.

use std::fmt;
use std::rc::Rc;

use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::start;
use regex_automata::{Anchored, Input};
use regex_syntax::hir::{Hir, Look};
use serde::Deserialize;

/// The most bytes that one compiled expression may occupy in every worker.
const MAX_SIZE: usize = 256 * 1024;

/// The most bytes that each step of the compilation may use temporarily, which also bounds the time. The use depends
/// slightly on the width of pointers.
const MAX_SIZE_WHILE_COMPILED: usize = 1024 * 1024;

/// A regular expression. It must match the whole text.
///
/// The syntax is that of Rust's [regex crate](https://docs.rs/regex/latest/regex/#syntax): there is no look-around
/// and there are no back-references, so no input makes matching slow. Expressions match bytes: `\w`, `\d`, `\s`, `\b`
/// and `(?i)` cover only ASCII, and classes with non-ASCII characters are refused. `.` matches every byte, including
/// a line feed: otherwise a `%0a` in a path would evade `/admin/.*`.
///
/// Reading the configuration compiles it to a table of states (a dense DFA). Matching takes one look-up per byte.
#[derive(Clone, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "String", extend("format" = "regex"))
)]
#[serde(try_from = "String")]
pub struct Regex {
    source: Rc<str>,
    dfa: Rc<dense::DFA<Vec<u32>>>,
}

impl Regex {
    /// Compiles an expression. The error says what is wrong, and where.
    fn new(source: &str) -> Result<Self, String> {
        let expression = parse(source, false)?;
        Self::compile(source, expression)
    }

    /// The same expression, ignoring letter case.
    pub(super) fn ignoring_case(&self) -> Result<Self, String> {
        Self::compile(&self.source, parse(&self.source, true)?)
    }

    fn compile(source: &str, expression: Hir) -> Result<Self, String> {
        let whole = Hir::concat(vec![expression, Hir::look(Look::End)]);
        let nfa = thompson::Compiler::new()
            .configure(
                thompson::Config::new()
                    .utf8(false)
                    .which_captures(thompson::WhichCaptures::None)
                    .nfa_size_limit(Some(MAX_SIZE_WHILE_COMPILED)),
            )
            .build_from_hir(&whole)
            .map_err(|_| too_large())?;
        let dfa = dense::Builder::new()
            .configure(
                dense::Config::new()
                    .start_kind(StartKind::Anchored)
                    .dfa_size_limit(Some(MAX_SIZE))
                    .determinize_size_limit(Some(MAX_SIZE_WHILE_COMPILED)),
            )
            .build_from_nfa(&nfa)
            .map_err(|error| match error.is_size_limit_exceeded() {
                true => too_large(),
                false => error.to_string(),
            })?;
        Ok(Self {
            source: source.into(),
            dfa: Rc::new(dfa),
        })
    }

    /// Whether the whole text matches.
    pub fn matches(&self, text: &[u8]) -> bool {
        let input = Input::new(text).anchored(Anchored::Yes).earliest(true);
        // An error means that the automaton gave up at some byte. This one has no such bytes.
        matches!(self.dfa.try_search_fwd(&input), Ok(Some(_)))
    }

    /// Whether the whole text matches, or would match with a slash behind it.
    pub(super) fn matches_with_or_without_slash(&self, text: &[u8]) -> bool {
        let dfa = &self.dfa;
        let config = start::Config::new().anchored(Anchored::Yes);
        let Ok(mut state) = dfa.start_state(&config) else {
            return false;
        };
        for byte in text {
            state = dfa.next_state(state, *byte);
            if dfa.is_dead_state(state) {
                return false;
            }
        }
        let ends = |state| dfa.is_match_state(dfa.next_eoi_state(state));
        ends(state) || ends(dfa.next_state(state, b'/'))
    }
}

impl TryFrom<String> for Regex {
    type Error = String;

    fn try_from(source: String) -> Result<Self, String> {
        Self::new(&source)
    }
}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

fn parse(source: &str, ignores_case: bool) -> Result<Hir, String> {
    regex_syntax::ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .dot_matches_new_line(true)
        .case_insensitive(ignores_case)
        .build()
        .parse(source)
        .map_err(|error| syntax_error(&error))
}

/// `unclosed group at 7; …`, where 7 is the offset in bytes.
fn syntax_error(error: &regex_syntax::Error) -> String {
    let (problem, span) = match error {
        regex_syntax::Error::Parse(error) => (error.kind().to_string(), error.span()),
        regex_syntax::Error::Translate(error) => (error.kind().to_string(), error.span()),
        other => return other.to_string(),
    };
    format!(
        "{problem} at {}; expected a regular expression in the syntax of Rust's regex crate",
        span.start.offset
    )
}

fn too_large() -> String {
    format!(
        "needs more than {} KiB when compiled; bounded repeats and alternatives after a .* cost \
         most",
        MAX_SIZE / 1024
    )
}
