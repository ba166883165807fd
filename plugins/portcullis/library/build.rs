//! Links the unwinder into the library, so that it needs no `libgcc_s.so.1`, which small images lack.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for argument in [
        "-Wl,--push-state,-Bstatic",
        "-lgcc_eh",
        "-lgcc",
        "-Wl,--pop-state",
    ] {
        println!("cargo::rustc-cdylib-link-arg={argument}");
    }
}
