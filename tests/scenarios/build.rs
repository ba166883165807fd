//! Generates a module for each `plugins/<plugin>/scenarios`, so that no list of scenarios is necessary.

use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    // Read at run time: a copied target folder may hold this program as another clone compiled it.
    let here = env::var_os("CARGO_MANIFEST_DIR").ok_or(io::ErrorKind::NotFound)?;
    let plugins = Path::new(&here).join("../../plugins");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CARGO_MANIFEST_DIR");
    // A new plugin changes the list of plugins.
    println!("cargo::rerun-if-changed=../../plugins/portcullis/src/lib.rs");

    let mut modules = Vec::new();
    for entry in fs::read_dir(plugins)? {
        let folder = entry?.path();
        let source = folder.join("scenarios/mod.rs");
        let name = folder.file_name().and_then(|name| name.to_str());
        if let Some(name) = name.filter(|_| source.exists()) {
            modules.push((name.replace('-', "_"), source));
        }
    }
    modules.sort();

    let mut code = String::new();
    for (name, source) in &modules {
        code += &format!("#[path = {source:?}]\npub mod {name};\n");
    }
    let calls = |function: &str| {
        let calls = modules.iter();
        let calls = calls.map(|(name, _)| format!("{name}::{function}()"));
        calls.collect::<Vec<_>>().join(", ")
    };
    code += &format!(
        "fn scenarios_of_plugins() -> Vec<Scenario> {{ [{}].into_iter().flatten().collect() }}\n\
         fn capability_subjects() -> Vec<capabilities::Subject> {{ vec![{}] }}\n",
        calls("scenarios"),
        calls("capabilities"),
    );
    let target = env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?;
    fs::write(Path::new(&target).join("plugins.rs"), code)
}
