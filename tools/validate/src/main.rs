//! `portcullis-validate`: see [`HELP`].

use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;
use std::{env, fs};

use portcullis_validate::{Plugin, Report, Severity, check};

const HELP: &str = "\
Checks configurations of Portcullis with the plugins' own readers: the results and messages are the same as in
Envoy, with file and line. It does not check Envoy's own settings.

usage: portcullis-validate [--plugin NAME] [--strict] FILE...
       portcullis-validate --plugin NAME --schema

FILE is a plugin's configuration in JSON, or YAML or JSON for Envoy (bootstraps, listeners, extension
configurations), Istio (WasmPlugin, TrafficExtension, EnvoyFilter) or Envoy Gateway (EnvoyExtensionPolicy).
- is standard input.

  --plugin NAME  the plugin, if the module, image, root_id, filter or file name does not identify it:
                 circuit_breaker, jwt_auth, rate_limit, retry_budget, security_headers, or
                 portcullis for the module of all plugins
  --strict       treat warnings as errors
  --schema       print the JSON Schema of the plugin's configuration
  --version      print the version

Exit status: 0 without errors, 1 with errors, 2 if the arguments are wrong.
";

struct Arguments {
    plugin: Option<Plugin>,
    is_strict: bool,
    files: Vec<String>,
}

enum Wanted {
    Check(Arguments),
    Print(String),
}

fn main() -> ExitCode {
    let (text, code) = match arguments(env::args().skip(1)) {
        Ok(Wanted::Print(text)) => (text, 0),
        Ok(Wanted::Check(arguments)) => run(&arguments),
        Err(message) => {
            eprintln!("portcullis-validate: {message}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    // A reader such as `head` may have closed the pipe. It does not need the rest.
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::from(code)
}

fn arguments(given: impl Iterator<Item = String>) -> Result<Wanted, String> {
    let (mut plugin, mut is_strict, mut wants_schema) = (None, false, false);
    let mut files = Vec::new();
    let mut given = given;
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--plugin" => {
                let name = given.next().ok_or("--plugin needs a name")?;
                plugin = Some(Plugin::named(&name).ok_or(format!("no plugin is named {name:?}"))?);
            }
            "--strict" => is_strict = true,
            "--schema" => wants_schema = true,
            "--version" => {
                let version = env!("CARGO_PKG_VERSION");
                return Ok(Wanted::Print(format!("portcullis-validate {version}\n")));
            }
            "--help" | "-h" => return Ok(Wanted::Print(HELP.to_owned())),
            option if option.starts_with('-') && option != "-" => {
                return Err(format!("unknown option {option}"));
            }
            _ => files.push(argument),
        }
    }
    match (wants_schema, plugin) {
        (true, Some(plugin)) if files.is_empty() => Ok(Wanted::Print(plugin.schema().to_owned())),
        (true, _) => Err("--schema needs --plugin, and takes no file".to_owned()),
        (false, _) if files.is_empty() => Err("no file".to_owned()),
        (false, _) => Ok(Wanted::Check(Arguments {
            plugin,
            is_strict,
            files,
        })),
    }
}

/// Checks the files. Returns the text to print and the exit status.
fn run(arguments: &Arguments) -> (String, u8) {
    let mut text = String::new();
    let (mut configurations, mut errors, mut warnings) = (0, 0, 0);
    for file in &arguments.files {
        match read(file) {
            Ok(content) => {
                let report: Report = check(file, &content, arguments.plugin);
                for finding in &report.findings {
                    text.push_str(&format!("{file}:{finding}\n"));
                }
                configurations += report.configurations;
                errors += report.count(Severity::Error);
                warnings += report.count(Severity::Warning);
            }
            Err(error) => {
                text.push_str(&format!("{file}: error: {error}\n"));
                errors += 1;
            }
        }
    }
    text.push_str(&format!(
        "{}: {}, {}\n",
        counted(configurations, "configuration"),
        counted(errors, "error"),
        counted(warnings, "warning")
    ));
    let is_bad = errors > 0 || arguments.is_strict && warnings > 0;
    (text, u8::from(is_bad))
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

fn read(file: &str) -> io::Result<String> {
    if file != "-" {
        return fs::read_to_string(file);
    }
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    Ok(text)
}
