//! Which crate may know which: see `docs/architecture.md`.

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
