//! Capability restrictions: each plugin without each of its capabilities (host calls and callbacks) in turn.
//!
//! The observations make a table for each plugin in `docs/operations.md`, which is the same in both worlds. Every
//! plugin has `on_error: deny`, so that the tables show which failures it notices: a request that it answers with 503
//! here would pass with `allow`. The plugin counts it in both cases.
//!
//! ```sh
//! PORTCULLIS_WRITE_TABLES=1 cargo test -p portcullis-scenarios --test native -- capabilities
//! ```

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, thread};

use crate::{Filter, Response, Test, World};

/// Starts a world. The error says why it does not start.
pub type Start<W> = fn(&[Filter]) -> Result<W, String>;

/// A plugin and the observations to make.
pub(crate) struct Subject {
    /// The name in `envoy/examples/capability-restriction.yaml`.
    pub(crate) name: &'static str,
    pub(crate) config: fn() -> serde_json::Value,
    /// The headings of the columns that `observe` fills.
    pub(crate) columns: &'static [&'static str],
    pub(crate) observe: fn(&mut dyn World) -> Vec<String>,
    /// The prefixes of counters of errors, each with the name of the instance.
    pub(crate) errors: &'static [&'static str],
}

/// The example with the capabilities of each plugin.
const EXAMPLE: &str = "envoy/examples/capability-restriction.yaml";
/// The page with the tables.
const PAGE: &str = "docs/operations.md";
/// If this environment variable is set, the test writes the page instead of checking it.
const WRITE: &str = "PORTCULLIS_WRITE_TABLES";

/// For each plugin, a test that compares its table with the behaviour in this world.
pub(crate) fn tests<W: World + 'static>(start: Start<W>) -> Vec<Test> {
    let subjects = crate::capability_subjects().into_iter();
    let test = |subject: Subject| Test {
        name: format!("capabilities::{}", subject.name),
        run: Box::new(move || {
            let example = fs::read_to_string(in_repository(EXAMPLE)).expect(EXAMPLE);
            let table = table(&subject, &capabilities(&example, subject.name), start);
            compare(subject.name, &table);
            Ok(())
        }),
    };
    subjects.map(test).collect()
}

fn in_repository(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(file)
}

/// Compares a table with the one on the page, or writes it there.
fn compare(plugin: &str, table: &str) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock();
    let page = fs::read_to_string(in_repository(PAGE)).expect(PAGE);
    let begin = format!("<!-- {plugin}, each capability left out: written by a test -->\n");
    let end = format!("<!-- end of {plugin} -->\n");
    let (before, rest) = page.split_once(&begin).expect("a mark before the table");
    let (old, after) = rest.split_once(&end).expect("a mark behind the table");
    if old == table {
        return;
    }
    if env::var_os(WRITE).is_some() {
        let page = format!("{before}{begin}{table}{end}{after}");
        return fs::write(in_repository(PAGE), page).expect(PAGE);
    }
    let news = table.lines().filter(|line| !old.contains(line));
    let news: Vec<&str> = news.collect();
    panic!(
        "{PAGE} is not current (set {WRITE} to write it); now:\n{}",
        news.join("\n")
    );
}

/// The capabilities in a plugin's list, in order.
fn capabilities<'a>(example: &'a str, plugin: &str) -> Vec<&'a str> {
    let head = format!("- name: {plugin}");
    let lines = example.lines().map(str::trim);
    let list = lines
        .skip_while(|line| *line != head)
        .skip_while(|line| *line != "allowed_capabilities:")
        .take_while(|line| *line != "configuration:");
    let names: Vec<&str> = list.filter_map(|line| line.strip_suffix(": {}")).collect();
    assert!(!names.is_empty(), "{EXAMPLE} has no list for {plugin}");
    names
}

fn table<W: World>(subject: &Subject, capabilities: &[&str], start: Start<W>) -> String {
    let mut left_out: Vec<Option<&str>> = vec![None];
    left_out.extend(capabilities.iter().copied().map(Some));
    let next = AtomicUsize::new(0);
    let rows = Mutex::new(vec![String::new(); left_out.len()]);
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(without) = left_out.get(index) else {
                return;
            };
            let row = row(subject, *without, start);
            rows.lock().expect("no row failed")[index] = row;
        }
    };
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(work);
        }
    });
    let rows = rows.into_inner().expect("no row failed").concat();
    let columns = subject.columns.join(" | ");
    let lines = "---|".repeat(subject.columns.len() + 3);
    format!("\n| left out | {columns} | counted | log |\n|{lines}\n{rows}\n")
}

/// The number of rows that run concurrently. Some spend their time waiting.
const AT_A_TIME: usize = 2;

fn row<W: World>(subject: &Subject, without: Option<&str>, start: Start<W>) -> String {
    let filter = Filter::Restricted {
        module: subject.name.replace('-', "_"),
        config: (subject.config)().to_string(),
        without: without.map(str::to_owned),
    };
    let name = without.map_or("nothing".to_owned(), |name| format!("`{name}`"));
    let mut world = match start(&[filter]) {
        Ok(world) => world,
        Err(error) => {
            assert!(without.is_some(), "{}: {error}", subject.name);
            let cells = "— | ".repeat(subject.columns.len() - 1);
            return format!("| {name} | does not start | {cells}— | yes |\n");
        }
    };
    let cells = (subject.observe)(&mut world);
    assert_eq!(cells.len(), subject.columns.len());
    let counters = subject.errors.iter();
    let is_counted = counters
        .map(|counter| world.sum_of_counters(counter))
        .sum::<u64>()
        > 0;
    let warnings = world.warnings();
    let is_logged = without.is_some_and(|name| warnings.iter().any(|line| line.contains(name)));
    let yes = |is: bool| if is { "yes" } else { "—" };
    let (counted, logged) = (yes(is_counted), yes(is_logged));
    format!(
        "| {name} | {} | {counted} | {logged} |\n",
        cells.join(" | ")
    )
}

/// The status of a response, or `held` if there is none.
pub(crate) fn status(response: Option<&Response>) -> String {
    response.map_or("held".to_owned(), |response| response.status.to_string())
}
