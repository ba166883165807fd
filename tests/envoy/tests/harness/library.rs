//! The demo's files for the library have the plugins and configurations of those for WebAssembly.

use std::fs;
use std::path::Path;
use std::process::Command;

use portcullis_envoy_tests::artifacts;
use portcullis_envoy_tests::yaml::{Plugin, documents, plugins};

const FILES: [&str; 2] = ["demo.yaml", "examples/live-page.yaml"];

#[test]
fn the_demo_on_the_library_has_the_same_plugins() {
    for file in FILES.map(|file| artifacts::repository().join("envoy").join(file)) {
        let text = fs::read_to_string(&file).expect("a file");
        let rewritten = rewritten(&file);

        assert!(!rewritten.contains("filters.http.wasm"), "{rewritten}");
        assert_eq!(all_plugins(&rewritten), all_plugins(&text));
    }
}

#[test]
fn the_control_plane_pushes_the_same_limits_to_the_library() {
    let folder = artifacts::repository().join("envoy/control-plane");
    let upstream = rewritten(&artifacts::repository().join("envoy/upstream.yaml"));
    for name in ["rate-limit-first.json", "rate-limit-second.json"] {
        let of_library = format!("library-{name}");
        let text = |name: &str| fs::read_to_string(folder.join(name)).expect("a file");

        assert_eq!(all_plugins(&text(&of_library)), all_plugins(&text(name)));
        assert!(upstream.contains(&of_library), "{upstream}");
    }
}

fn rewritten(file: &Path) -> String {
    let script = artifacts::repository().join("envoy/library.sed");
    let mut sed = Command::new("sed");
    sed.arg("-E").arg("-f").arg(script).arg(file);
    let output = sed.output().expect("sed");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn all_plugins(text: &str) -> Vec<Plugin> {
    let documents = documents(text).expect("YAML");
    let found: Vec<Plugin> = documents
        .iter()
        .flat_map(|document| plugins(document).expect("plugins"))
        .collect();
    assert!(!found.is_empty());
    found
}
