//! Checks configurations of the plugins before Envoy does, with the plugins' own readers. The results and messages
//! are the same as in Envoy.
//!
//! [`check`] takes the text of a file: a plugin's configuration in JSON, or YAML that contains plugins (Envoy
//! bootstraps and fragments, resources of Istio and Envoy Gateway). It does not check Envoy's own settings.

mod find;
mod lines;
mod plugin;
mod warnings;
mod yaml;

use std::fmt;

use find::{Configuration, FoundPlugin};
use lines::Lines;
pub use plugin::Plugin;
use portcullis_core::policy::References;
use yaml::Node;

/// A problem in a file, or a note about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The line in the file, from 1.
    pub line: usize,
    /// The severity.
    pub severity: Severity,
    /// The plugin, if the finding is about one.
    pub plugin: Option<Plugin>,
    /// The message. For an error, it is the one that Envoy would log, without the plugin's name: JSON path, what was
    /// found, what is allowed.
    pub message: String,
}

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The plugin refuses the configuration.
    Error,
    /// The configuration loads, but does not work as it appears to.
    Warning,
    /// Something was not checked.
    Note,
}

/// The result for a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The number of configurations that were read.
    pub configurations: usize,
    /// All findings, sorted by line.
    pub findings: Vec<Finding>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        write!(f, "{}: {severity}: ", self.line)?;
        if let Some(plugin) = self.plugin {
            write!(f, "{}: ", plugin.name())?;
        }
        f.write_str(&self.message)
    }
}

impl Report {
    /// The number of findings of a severity.
    pub fn count(&self, severity: Severity) -> usize {
        let findings = self.findings.iter();
        findings
            .filter(|finding| finding.severity == severity)
            .count()
    }
}

/// Checks a file. Configurations whose plugin cannot be identified, neither by themselves nor by the name of the
/// file, are for `plugin`.
pub fn check(file: &str, text: &str, plugin: Option<Plugin>) -> Report {
    let mut report = Report::default();
    let is_json = file.ends_with(".json") || text.trim_start().starts_with('{');
    let named = plugin.or_else(|| by_file(file)).filter(|_| is_json);
    match yaml::documents(text) {
        Ok(documents) if documents.iter().any(holds_more_than_a_configuration) => {
            check_documents(&documents, plugin, &mut report);
        }
        parsed => match (named, parsed) {
            (Some(plugin), _) => {
                let lines = Lines::of_json(text, 1);
                report.read(plugin, text.as_bytes(), &lines);
            }
            (None, Err(error)) => report.add(error.line, Severity::Error, None, error.message),
            (None, Ok(_)) if is_json => report.add(
                1,
                Severity::Error,
                None,
                "not checked: the plugin is unknown; use --plugin, or name the file after the plugin, such as \
                 rate_limit.json",
            ),
            (None, Ok(_)) => report.add(1, Severity::Note, None, "no plugin in this file"),
        },
    }
    report.findings.sort_by_key(|finding| finding.line);
    report
}

/// Whether a document belongs to Envoy or Kubernetes, or contains a plugin.
fn holds_more_than_a_configuration(document: &Node) -> bool {
    let members = [
        "static_resources",
        "resources",
        "@type",
        "apiVersion",
        "http_filters",
    ];
    members.iter().any(|name| document.get(name).is_some()) || !find::plugins(document).is_empty()
}

/// The plugin of `rate_limit.json`, or of any file in a folder `rate-limit`.
fn by_file(file: &str) -> Option<Plugin> {
    let mut names = file.rsplit('/');
    names
        .next()
        .and_then(Plugin::called)
        .or_else(|| names.next().and_then(Plugin::called))
}

/// A valid configuration, kept for checks that involve several.
struct Checked<'a> {
    plugin: Plugin,
    found: FoundPlugin<'a>,
    lines: Lines,
    read: References,
}

fn check_documents(documents: &[Node], plugin: Option<Plugin>, report: &mut Report) {
    let (mut checked, mut managers) = (Vec::new(), Vec::<&Node>::new());
    for document in documents {
        let known_clusters = warnings::clusters(document);
        let plugins = find::plugins(document);
        if plugins.is_empty() {
            report.add(
                document.line,
                Severity::Note,
                None,
                "no plugin in this document",
            );
        }
        for found in plugins {
            let Some(plugin) = found.plugin.or(plugin) else {
                let message = format!(
                    "{}: not checked: neither its module nor its name identifies a plugin of Portcullis; if it is \
                     one, use --plugin",
                    found.label
                );
                report.add(found.line, Severity::Note, None, message);
                continue;
            };
            if let Some(manager) = found.manager
                && !managers.iter().any(|other| std::ptr::eq(*other, manager))
            {
                managers.push(manager);
            }
            if let Some(warning) = warnings::failure(&found, plugin) {
                report.add(found.failure_line, Severity::Warning, Some(plugin), warning);
            }
            let (lines, read) = report.check_configuration(plugin, &found);
            let Some(read) = read else { continue };
            for (path, cluster) in &read.clusters {
                let is_known = known_clusters
                    .as_ref()
                    .is_none_or(|known| known.contains(&cluster.as_str()));
                if !is_known {
                    let line = lines.find(path);
                    let message = format!("{path}: {cluster:?} is not a cluster of this bootstrap");
                    report.add(line, Severity::Warning, Some(plugin), message);
                }
            }
            checked.push(Checked {
                plugin,
                found,
                lines,
                read,
            });
        }
    }
    for manager in managers {
        for (line, warning) in warnings::normalization(manager) {
            report.add(line, Severity::Warning, None, warning);
        }
    }
    let breakers: Vec<_> = checked
        .iter()
        .flat_map(|it| {
            it.read
                .breakers
                .iter()
                .map(|name| (it.found.vm, name.clone()))
        })
        .collect();
    for it in &checked {
        for (path, name) in &it.read.respected_breakers {
            if let Some(warning) =
                warnings::breaker(name, &it.read.breakers, it.found.vm, &breakers)
            {
                let line = it.lines.find(path);
                let message = format!("{path}: {warning}");
                report.add(line, Severity::Warning, Some(it.plugin), message);
            }
        }
    }
}

impl Report {
    fn add(
        &mut self,
        line: usize,
        severity: Severity,
        plugin: Option<Plugin>,
        message: impl Into<String>,
    ) {
        self.findings.push(Finding {
            line,
            severity,
            plugin,
            message: message.into(),
        });
    }

    fn check_configuration(
        &mut self,
        plugin: Plugin,
        found: &FoundPlugin<'_>,
    ) -> (Lines, Option<References>) {
        /// The start of any message with a field 1 that is a message with a field 2. The readers recognise it.
        const PROTOBUF: &[u8] = b"\x0a\x02\x12\x00";

        let (text, lines) = match found.configuration {
            Configuration::Missing => (Vec::new(), Lines::at(found.line)),
            Configuration::Text(node) => {
                let text = node.text().unwrap_or_default();
                let lines = match node.first_line_of_text() {
                    Some(first) => Lines::of_json(text, first),
                    None => Lines::at(node.line),
                };
                (text.into(), lines)
            }
            Configuration::Value(node) => {
                let (json, lines) = node.to_json();
                (json.into_bytes(), lines)
            }
            Configuration::Protobuf(node) => (PROTOBUF.to_vec(), Lines::at(node.line)),
            Configuration::Wrong(node, expected) => {
                self.configurations += 1;
                let message = format!("$: {expected}");
                self.add(node.line, Severity::Error, Some(plugin), message);
                return (Lines::at(node.line), None);
            }
        };
        let read = self.read(plugin, &text, &lines);
        (lines, read)
    }

    fn read(&mut self, plugin: Plugin, text: &[u8], lines: &Lines) -> Option<References> {
        self.configurations += 1;
        match plugin.read(text) {
            Ok(read) => {
                for (path, warning) in &read.warnings {
                    let message = format!("{path}: {warning}");
                    self.add(lines.find(path), Severity::Warning, Some(plugin), message);
                }
                Some(read)
            }
            Err(errors) => {
                let broken = serde_json::from_slice::<serde::de::IgnoredAny>(text).err();
                for error in errors.iter() {
                    let line = match &broken {
                        Some(broken) => lines.of_text(broken.line()),
                        None => lines.find(error.path()),
                    };
                    self.add(line, Severity::Error, Some(plugin), error.to_string());
                }
                None
            }
        }
    }
}
