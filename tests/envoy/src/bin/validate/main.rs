//! Shows every example configuration of the repository to Envoy: `make validate`.
//!
//! What is accepted, as promised:
//! - `plugins/*/example.json`;
//! - every block marked ```` ```json ```` in a plugin's README that is an object (mark what is no
//!   complete configuration otherwise, ```` ```jsonc ```` for one);
//! - every bootstrap in `envoy` and `envoy/examples`, which is any YAML file with
//!   `static_resources`.
//!
//! What is refused, as promised: `tests/envoy/bad/<plugin>/<case>.json`, in the very words of
//! `<case>.txt` next to it. A case with an `@type` is a protobuf message in JSON form and is handed
//! over as it stands; all others as text in a `StringValue`, as users do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;

use portcullis_envoy_tests::artifacts::repository;
use portcullis_envoy_tests::filter::WasmFilter;
use portcullis_envoy_tests::validate;
use serde_json::Value;

/// How many Envoys run at once.
const PARALLEL: usize = 4;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// One configuration to show to Envoy.
struct Case {
    name: String,
    check: Check,
}

enum Check {
    Accepted(WasmFilter),
    /// With the errors that the plugin is to log.
    Refused(WasmFilter, String),
    Bootstrap(PathBuf),
}

fn main() -> Result<ExitCode, Failure> {
    // Bootstraps name the modules by their path from here.
    std::env::set_current_dir(repository())?;
    let cases = cases()?;
    let mut failed = 0;
    for some in cases.chunks(PARALLEL) {
        let results = thread::scope(|scope| {
            let running: Vec<_> = some
                .iter()
                .map(|case| scope.spawn(|| case.check.run()))
                .collect();
            running
                .into_iter()
                .map(|case| case.join())
                .collect::<Vec<_>>()
        });
        for (case, result) in some.iter().zip(results) {
            // A panic has already said what it had to say.
            match result.unwrap_or_else(|_| Err("failed".to_owned())) {
                Ok(()) => println!("ok      {}", case.name),
                Err(reason) => {
                    failed += 1;
                    println!("FAILED  {}", case.name);
                    reason.lines().for_each(|line| println!("        {line}"));
                }
            }
        }
    }
    println!("{} passed, {failed} failed", cases.len() - failed);
    Ok(match failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

impl Check {
    fn run(&self) -> Result<(), String> {
        match self {
            Self::Accepted(filter) => validate::plugin(filter),
            Self::Bootstrap(file) => validate::bootstrap_file(file),
            Self::Refused(filter, expected) => match validate::plugin(filter) {
                Ok(()) => Err("accepted".to_owned()),
                Err(said) => {
                    // The first line names the plugin.
                    let errors = said.split_once('\n').map_or("", |(_, errors)| errors);
                    match errors == expected.trim_end() {
                        true => Ok(()),
                        false => Err(format!("expected\n{expected}found\n{said}")),
                    }
                }
            },
        }
    }
}

fn cases() -> Result<Vec<Case>, Failure> {
    let mut cases = Vec::new();
    for plugin in entries("plugins", "")? {
        let name = file_name(&plugin);
        let example = plugin.join("example.json");
        cases.push(accepted(&example, name, &read(&example)?));

        let readme = plugin.join("README.md");
        for (line, text) in json_blocks(&read(&readme)?) {
            let json = serde_json::from_str::<Value>(&text)
                .map_err(|error| format!("{}:{line}: not JSON: {error}", readme.display()))?;
            if json.is_object() {
                let mut case = accepted(&readme, name, &text);
                case.name.push_str(&format!(":{line}"));
                cases.push(case);
            }
        }
    }
    for file in [
        entries("envoy", ".yaml")?,
        entries("envoy/examples", ".yaml")?,
    ]
    .concat()
    {
        if read(&file)?.contains("\nstatic_resources:") {
            cases.push(Case {
                name: file.display().to_string(),
                check: Check::Bootstrap(file),
            });
        }
    }
    for plugin in entries("tests/envoy/bad", "")? {
        for file in entries(&plugin, ".json")? {
            cases.push(refused(&file, file_name(&plugin))?);
        }
    }
    Ok(cases)
}

fn accepted(file: &Path, plugin: &str, configuration: &str) -> Case {
    Case {
        name: file.display().to_string(),
        check: Check::Accepted(WasmFilter::plugin(plugin).configuration(configuration)),
    }
}

fn refused(file: &Path, plugin: &str) -> Result<Case, Failure> {
    let text = read(file)?;
    let filter = WasmFilter::plugin(plugin);
    let filter = match serde_json::from_str::<Value>(&text) {
        Ok(message) if message.get("@type").is_some() => filter.configuration_any(message),
        _ => filter.configuration(&text),
    };
    let expected = read(&file.with_extension("txt"))?;
    Ok(Case {
        name: file.display().to_string(),
        check: Check::Refused(filter, expected),
    })
}

fn read(file: &Path) -> Result<String, Failure> {
    fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()).into())
}

/// What is in a folder and is called so at its end, in order.
fn entries(folder: impl AsRef<Path>, end: &str) -> Result<Vec<PathBuf>, Failure> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if file_name(&path).ends_with(end) {
            entries.push(path);
        }
    }
    entries.sort();
    Ok(entries)
}

fn file_name(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
}

/// The blocks of a Markdown text that are marked as JSON, with the line where each begins.
fn json_blocks(markdown: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut lines = markdown.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(marked) = line.trim_start().strip_prefix("```") else {
            continue;
        };
        // Blocks of other languages are read, too, so that their end is not taken for a beginning.
        let block: Vec<&str> = lines
            .by_ref()
            .map(|(_, line)| line)
            .take_while(|line| line.trim() != "```")
            .collect();
        if marked.trim() == "json" {
            blocks.push((number + 2, block.join("\n")));
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::json_blocks;

    #[test]
    fn blocks_marked_as_json_are_found_with_their_lines() {
        let markdown = "# Title\n```sh\n```json\n```\n\n  ```json\n  {\n  }\n  ```\n```jsonc\n{}\n```\n\
                        ```\n{}\n```\n```json\n[]\n```\n";

        let blocks = json_blocks(markdown);

        assert_eq!(blocks, [(7, "  {\n  }".to_owned()), (17, "[]".to_owned())]);
    }
}
