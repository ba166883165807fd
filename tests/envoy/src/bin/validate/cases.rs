//! Finds the configurations to validate.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use portcullis_envoy_tests::filter::WasmFilter;
use portcullis_envoy_tests::yaml;
use portcullis_validate::Severity;
use serde_json::Value;

use crate::istio;
use crate::markdown::blocks;
use crate::schema::{self, Schema};
use crate::{Case, Check, Failure};

/// The module of all plugins.
const ONE_MODULE: &str = "portcullis";

/// Examples, as files or folders, that must have all plugins and the module of all plugins.
const COMPLETE: [&str; 4] = [
    "envoy/examples/all-plugins.yaml",
    "envoy/examples/capability-restriction.yaml",
    "envoy/istio",
    "envoy/gateway",
];

/// Folders of resources of Kubernetes.
const MANIFESTS: [&str; 2] = ["envoy/istio", "envoy/gateway"];

pub(crate) fn cases() -> Result<Vec<Case>, Failure> {
    let mut cases = Vec::new();
    for plugin in plugin_folders()? {
        let name = file_name(&plugin);
        let example = plugin.join("example.json");
        cases.push(accepted(&example, name, &read(&example)?));
        json_blocks(&plugin.join("README.md"), name, &mut cases)?;
    }
    for file in manuals()? {
        for (line, text) in blocks(&read(&file)?, "yaml") {
            let place = format!("{}:{line}", file.display());
            embedded(&place, &text, &mut cases)?;
            one_reading(&place, &text, &mut cases)?;
            if is_bootstrap(&text) {
                cases.push(Case {
                    name: place,
                    check: Check::BootstrapText(text),
                });
            }
        }
    }
    for file in yaml_files(Path::new("envoy"))? {
        let text = read(&file)?;
        let place = file.display().to_string();
        embedded(&place, &text, &mut cases)?;
        one_reading(&place, &text, &mut cases)?;
        if is_bootstrap(&text) {
            cases.push(Case {
                name: place,
                check: Check::Bootstrap(file),
            });
        }
    }
    // The demo's control plane pushes JSON, which is also YAML.
    for file in entries("envoy/control-plane", ".json")? {
        embedded(&file.display().to_string(), &read(&file)?, &mut cases)?;
    }
    cases.extend(resources(&schema::of_manifests()?)?);
    cases.extend(istio::cases()?);
    for example in COMPLETE {
        cases.push(complete(Path::new(example))?);
    }
    for plugin in plugin_folders()? {
        for file in entries(plugin.join("scenarios/bad"), ".json")? {
            cases.push(refused(&file, file_name(&plugin))?);
            cases.extend(refused_as_member(&file, file_name(&plugin))?);
        }
    }
    Ok(cases)
}

/// The Kubernetes resources, with the CustomResourceDefinitions in a folder.
pub(crate) fn by_crds(folder: &Path) -> Result<Vec<Case>, Failure> {
    let crds = schema::of_crds(folder)?;
    let mut cases = resources(&crds)?;
    for schema in schema::of_manifests()? {
        for crd in crds.iter().filter(|crd| schema.is_of(crd)) {
            cases.push(Case {
                name: format!("{}, {}: {}", schema.source, crd.source, crd.kind),
                check: Check::Faults(schema.allows_more_than(crd)),
            });
        }
    }
    Ok(cases)
}

/// Each resource with each schema of its kind.
fn resources(schemas: &[Schema]) -> Result<Vec<Case>, Failure> {
    let mut cases = Vec::new();
    for folder in MANIFESTS {
        for file in yaml_files(Path::new(folder))? {
            let place = file.display();
            let documents = yaml::documents(&read(&file)?);
            for resource in documents.map_err(|error| format!("{place}: {error}"))? {
                let Some(kind) = resource.get("kind").and_then(Value::as_str) else {
                    continue;
                };
                let fitting: Vec<_> = schemas.iter().filter(|it| it.is_for(&resource)).collect();
                if fitting.is_empty() {
                    cases.push(Case {
                        name: format!("{place}: {kind}"),
                        check: Check::Faults(vec!["no schema".to_owned()]),
                    });
                }
                cases.extend(fitting.into_iter().map(|schema| Case {
                    name: format!("{place}: {kind}, by {}", schema.source),
                    check: Check::Faults(schema.check(&resource)),
                }));
            }
        }
    }
    Ok(cases)
}

fn json_blocks(readme: &Path, plugin: &str, cases: &mut Vec<Case>) -> Result<(), Failure> {
    for (line, text) in blocks(&read(readme)?, "json") {
        let json = serde_json::from_str::<Value>(&text)
            .map_err(|error| format!("{}:{line}: not JSON: {error}", readme.display()))?;
        if json.is_object() {
            let mut case = accepted(readme, plugin, &text);
            case.name.push_str(&format!(":{line}"));
            cases.push(case);
        }
    }
    Ok(())
}

/// The plugins' configurations in a YAML text: for Envoy, and for `portcullis-validate`, which must find them all without
/// a warning.
fn embedded(place: &str, text: &str, cases: &mut Vec<Case>) -> Result<(), Failure> {
    let plugins = plugins(place, text)?;
    let report = portcullis_validate::check(place, text, None);
    let findings = report.findings.iter();
    let mut complaints: Vec<String> = findings
        .filter(|finding| finding.severity != Severity::Note)
        .map(|finding| format!("{place}:{finding}"))
        .collect();
    if report.configurations != plugins.len() {
        complaints.push(format!(
            "found {} configurations of {}",
            report.configurations,
            plugins.len()
        ));
    }
    if !plugins.is_empty() {
        cases.push(Case {
            name: format!("{place}: portcullis-validate"),
            check: Check::Faults(complaints),
        });
    }
    for plugin in plugins {
        cases.push(Case {
            name: format!("{place}: {}", plugin.name),
            check: Check::Accepted(
                WasmFilter::plugin(&plugin.name).configuration(&plugin.configuration),
            ),
        });
    }
    Ok(())
}

fn is_bootstrap(text: &str) -> bool {
    text.lines().any(|line| line == "static_resources:")
}

/// The connection managers' settings in a YAML text, if it has any connection managers.
fn one_reading(place: &str, text: &str, cases: &mut Vec<Case>) -> Result<(), Failure> {
    let there = [".v3.HttpConnectionManager", "http_filters:"];
    if !there.iter().any(|word| text.contains(word)) {
        return Ok(());
    }
    let documents = yaml::documents(text).map_err(|error| format!("{place}: {error}"))?;
    cases.push(Case {
        name: format!("{place}: one reading"),
        check: Check::Faults(documents.iter().flat_map(yaml::ambiguities).collect()),
    });
    Ok(())
}

fn plugins(place: &str, text: &str) -> Result<Vec<yaml::Plugin>, Failure> {
    let in_documents = || -> Result<Vec<_>, String> {
        let documents = yaml::documents(text)?;
        documents.iter().map(yaml::plugins).collect()
    };
    let plugins = in_documents().map_err(|error| format!("{place}: {error}"))?;
    Ok(plugins.into_iter().flatten().collect())
}

fn complete(example: &Path) -> Result<Case, Failure> {
    let files = match example.is_dir() {
        true => yaml_files(example)?,
        false => vec![example.to_owned()],
    };
    let mut there = BTreeSet::new();
    for file in files {
        let found = plugins(&file.display().to_string(), &read(&file)?)?;
        there.extend(found.into_iter().map(|plugin| plugin.name));
    }
    let all = plugin_folders()?;
    let all = all.iter().map(|plugin| file_name(plugin).to_owned());
    // This one shows the other way: a module for each plugin.
    let lacking = all.filter(|name| name != ONE_MODULE || example != Path::new(COMPLETE[0]));
    Ok(Case {
        name: format!("{}: all plugins", example.display()),
        check: Check::Complete(lacking.filter(|plugin| !there.contains(plugin)).collect()),
    })
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

/// The same configuration as a member of that of all plugins: the same errors, with paths that begin with the member.
fn refused_as_member(file: &Path, plugin: &str) -> Result<Option<Case>, Failure> {
    let text = read(file)?;
    let value = serde_json::from_str::<Value>(&text);
    let is_member = value.is_ok_and(|value| value.get("@type").is_none());
    if !is_member || plugin == ONE_MODULE {
        return Ok(None);
    }
    let member = plugin.replace('-', "_");
    let expected = read(&file.with_extension("txt"))?;
    let begin = format!("$.{member}");
    let expected = expected
        .lines()
        .map(|line| line.replacen('$', &begin, 1) + "\n");
    let filter = WasmFilter::plugin(ONE_MODULE).configuration(&format!("{{{member:?}: {text}}}"));
    Ok(Some(Case {
        name: format!("{}, in one module", file.display()),
        check: Check::Refused(filter, expected.collect()),
    }))
}

/// All Markdown that users read.
fn manuals() -> Result<Vec<PathBuf>, Failure> {
    let mut manuals = vec![PathBuf::from("README.md")];
    for plugin in plugin_folders()? {
        manuals.push(plugin.join("README.md"));
    }
    manuals.extend(entries("docs", ".md")?);
    Ok(manuals)
}

fn yaml_files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for entry in entries(folder, "")? {
        if entry.is_dir() {
            files.extend(yaml_files(&entry)?);
        } else if file_name(&entry).ends_with(".yaml") {
            files.push(entry);
        }
    }
    Ok(files)
}

fn read(file: &Path) -> Result<String, Failure> {
    fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()).into())
}

/// The folders of the plugins: those with a module.
fn plugin_folders() -> Result<Vec<PathBuf>, Failure> {
    let mut plugins = entries("plugins", "")?;
    plugins.retain(|folder| folder.join("module").is_dir());
    Ok(plugins)
}

/// The entries of a folder whose names end this way, in order.
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
