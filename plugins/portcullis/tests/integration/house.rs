//! Rules for all crates: which may know which (see `docs/architecture.md`), and which targets have no tests.

use std::fs;
use std::path::{Path, PathBuf};

use crate::root;

/// The folder of all plugins together, which is no plugin.
const CHAIN: &str = "portcullis";

/// The folders of all plugins.
fn plugins() -> Vec<PathBuf> {
    let folders = fs::read_dir(root().join("plugins")).unwrap();
    let folders = folders.map(|folder| folder.unwrap().path());
    let mut folders: Vec<PathBuf> = folders
        .filter(|folder| folder.join("module").is_dir() && name(folder) != CHAIN)
        .collect();
    folders.sort();
    folders
}

fn name(folder: &Path) -> &str {
    folder.file_name().unwrap().to_str().unwrap()
}

/// The crates of this repository that a crate depends on, but for its tests.
fn arrows(folder: &Path) -> Vec<String> {
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    let (_, rest) = manifest.split_once("\n[dependencies]\n").unwrap();
    let dependencies = rest.split("\n[").next().unwrap().lines();
    let names = dependencies.filter_map(|line| line.split(['.', ' ']).next());
    let ours = |name: &&str| {
        name.starts_with("portcullis")
            || plugins().iter().any(|plugin| {
                *name == self::name(plugin) || *name == format!("{}-policy", self::name(plugin))
            })
    };
    names.filter(ours).map(str::to_owned).collect()
}

#[test]
fn arrows_run_downward_only() {
    let may = |folder: PathBuf, known: &[&str]| {
        for arrow in arrows(&folder) {
            assert!(
                known.contains(&arrow.as_str()),
                "{}: {arrow}",
                folder.display()
            );
        }
    };
    let shared = root().join("shared");
    may(shared.join("table"), &[]);
    may(shared.join("core"), &["portcullis-table"]);
    may(
        shared.join("host"),
        &["portcullis-core", "portcullis-table"],
    );
    for backend in ["proxy-wasm", "dynamic-module"] {
        may(
            shared.join(backend),
            &["portcullis-core", "portcullis-host", "portcullis-table"],
        );
    }
    may(
        root().join("plugins").join(CHAIN).join("library"),
        &[CHAIN, "portcullis-host", "portcullis-dynamic-module"],
    );
    may(root().join("tests/native-host"), &[]);
    for plugin in plugins() {
        let policy = format!("{}-policy", name(&plugin));
        may(
            plugin.join("policy"),
            &["portcullis-core", "portcullis-table"],
        );
        may(
            plugin.clone(),
            &[
                "portcullis-core",
                "portcullis-table",
                "portcullis-host",
                &policy,
            ],
        );
    }
}

/// It joins the plugins, and has nothing of its own beside them.
#[test]
fn the_chain_knows_all_plugins_and_only_them() {
    let with_shared = |names: Vec<String>| {
        let shared = ["portcullis-core", "portcullis-host"].map(str::to_owned);
        let mut names: Vec<String> = names.into_iter().chain(shared).collect();
        names.sort();
        names
    };
    let chain = root().join("plugins").join(CHAIN);
    let names = plugins().into_iter().map(|it| name(&it).to_owned());
    let names: Vec<String> = names.collect();
    let mut found = arrows(&chain);
    found.sort();
    assert_eq!(found, with_shared(names.clone()));
    let policies = names.iter().map(|name| format!("{name}-policy"));
    let mut policies: Vec<String> = policies.collect();
    policies.sort();
    let mut found = arrows(&chain.join("policy"));
    found.sort();
    assert_eq!(found, policies);
}

/// In the documented order, which is that of the example with five modules.
#[test]
fn the_chain_has_every_plugin_in_order() {
    let order = portcullis::order();
    assert_eq!(order, portcullis_policy::MEMBERS);
    let mut sorted = order.clone();
    sorted.sort_unstable();
    let listed: Vec<&str> = portcullis::ALL.iter().map(|plugin| plugin.name).collect();
    assert_eq!(sorted, listed);

    let example = root().join("envoy/examples/all-plugins.yaml");
    let example = fs::read_to_string(example).unwrap();
    let places = order.iter().map(|name| {
        let module = format!("dist/{name}.wasm");
        example.find(&module).unwrap()
    });
    assert!(places.is_sorted());
}

/// A folder that is forgotten in the list would be built and never checked.
#[test]
fn every_folder_with_a_module_is_in_the_list() {
    let folders = plugins();
    let found = folders.iter().map(|folder| name(folder).replace('-', "_"));
    let found: Vec<String> = found.collect();
    let listed: Vec<&str> = portcullis::ALL.iter().map(|plugin| plugin.name).collect();
    assert_eq!(found, listed);
}

/// The first file of each target that `cargo test` passes over.
fn untested_targets(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    if let Ok(manifest) = fs::read_to_string(folder.join("Cargo.toml")) {
        for section in manifest.split("\n[").skip(1) {
            if !section.lines().any(|line| line == "test = false") {
                continue;
            }
            let mut lines = section.lines();
            let path = lines.find_map(|line| line.strip_prefix("path = \"")?.strip_suffix('"'));
            let path = path.or_else(|| section.starts_with("lib]").then_some("src/lib.rs"));
            let Some(path) = path else {
                panic!("{}: [{section}: no path", folder.display());
            };
            found.push(folder.join(path));
        }
    }
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !["node_modules", "target"].contains(&name(&path)) {
            found.extend(untested_targets(&path));
        }
    }
    found
}

/// A file, and the files of the modules in it. Theirs are in `folder`.
fn sources(file: &Path, folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![file.to_owned()];
    let mut named = None;
    for line in fs::read_to_string(file).unwrap().lines().map(str::trim) {
        if let Some(path) = line.strip_prefix("#[path = \"") {
            let path = path.strip_suffix("\"]");
            named = path.map(|path| file.with_file_name(path));
        }
        let words: Vec<&str> = line.split([' ', ';']).collect();
        let [.., "mod", name, ""] = words[..] else {
            continue;
        };
        if let Some(file) = named.take() {
            found.extend(sources(&file, file.parent().unwrap()));
            continue;
        }
        let below = folder.join(name);
        let mut files = [below.with_extension("rs"), below.join("mod.rs")].into_iter();
        let Some(of_module) = files.find(|file| file.is_file()) else {
            panic!("{}: {line} has no file", file.display());
        };
        found.extend(sources(&of_module, &below));
    }
    found
}

/// With `test = false` nobody would notice that a test never runs.
#[test]
fn targets_that_are_not_tested_have_no_tests() {
    let folders = ["plugins", "shared", "tests", "tools"].map(|folder| root().join(folder));
    let targets = folders.iter().flat_map(|folder| untested_targets(folder));
    let targets: Vec<PathBuf> = targets.collect();
    assert!(targets.len() >= 20, "{targets:?}");
    let files = targets.iter();
    let files = files.flat_map(|file| sources(file, file.parent().unwrap()));
    for file in files {
        for line in fs::read_to_string(&file).unwrap().lines().map(str::trim) {
            let mut words = line.split(|char: char| !char.is_alphanumeric() && char != '_');
            let is_for_tests = line.starts_with("#[") && words.any(|word| word == "test");
            let place = file.display();
            assert!(
                !is_for_tests,
                "{place}: {line}, but its target has test = false"
            );
        }
    }
}
