//! What others get who take the three crates.

use std::{fs, path::Path, process::Command};

const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn cargo(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(folder).output().expect("cargo runs");
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo prints text")
}

#[test]
fn each_crate_is_packaged_with_its_readme_and_licences() {
    for name in ["rectify", "rectify-train", "rectify-cli"] {
        let listed = cargo(WORKSPACE.as_ref(), &["package", "--list", "--offline", "--allow-dirty", "-p", name]);
        for file in ["README.md", "LICENSE-APACHE", "LICENSE-MIT", "Cargo.toml"] {
            assert!(listed.lines().any(|line| line == file), "{name} has no {file}:\n{listed}");
        }
        // What others wrote is in the program alone.
        let notices = listed.lines().any(|line| line == "THIRD-PARTY-LICENSES.txt");
        assert_eq!(notices, name == "rectify-cli", "{listed}");
    }
}

#[test]
fn a_project_that_asks_for_any_patch_release_of_burn_can_take_rectify() {
    let project = tempfile::tempdir().unwrap();
    let library = Path::new(WORKSPACE).join("crates/rectify").canonicalize().unwrap();
    let manifest = format!(
        "[package]\nname = \"taker\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n\
         burn = {{ version = \"0.22\", default-features = false, features = [\"flex\"] }}\n\
         rectify = {{ path = {library:?}, default-features = false, features = [\"flex\"] }}\n"
    );
    fs::write(project.path().join("Cargo.toml"), manifest).unwrap();
    fs::create_dir(project.path().join("src")).unwrap();
    fs::write(project.path().join("src/lib.rs"), "").unwrap();
    // The releases that are there.
    fs::copy(Path::new(WORKSPACE).join("Cargo.lock"), project.path().join("Cargo.lock")).unwrap();
    // Of CubeCL and what the program needs, nothing is compiled.
    let tree = cargo(project.path(), &["tree", "--offline", "--prefix", "none", "--edges", "normal,build"]);
    let compiled = |name: &str| tree.lines().any(|line| line.split(' ').next() == Some(name));
    assert!(compiled("rectify") && compiled("burn-flex"), "{tree}");
    for heavy in ["wgpu", "cubecl", "burn-ndarray", "clap", "plotly"] {
        assert!(!compiled(heavy), "{heavy}:\n{tree}");
    }

    let metadata = cargo(&library, &["metadata", "--offline", "--no-deps", "--format-version", "1"]);
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let rectify = packages.iter().find(|package| package["name"] == "rectify").unwrap();
    let exact = |taken: &&serde_json::Value| taken["req"].as_str().unwrap().starts_with('=');
    assert_eq!(rectify["dependencies"].as_array().unwrap().iter().find(exact), None);
}
