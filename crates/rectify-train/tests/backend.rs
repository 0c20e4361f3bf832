//! Choosing a backend: what is there opens, and what is not says so and names what is.

use std::{env, process::Command};

use burn::tensor::{DType, Tensor};
use rectify_train::{
    backend::{BackendError, NAMES, SelfTest, adapter_name, canonical, open, supports, survey},
    experiment::Dtype,
};

fn error(name: &str) -> String {
    open(name).expect_err(name).to_string()
}

#[test]
fn an_unknown_name_gives_an_error_with_the_names_that_work() {
    let message = error("gpu");
    let start = "unknown backend `gpu`; did you mean `auto` or `wgpu`? this machine can run ";
    assert!(message.starts_with(start), "{message}");
    assert!(error("abacus").starts_with("unknown backend `abacus`; this machine can run "));
    #[cfg(feature = "flex")]
    assert!(message.contains("flex"), "{message}");
    assert!(message.ends_with("auto"), "{message}");
}

#[test]
#[cfg(feature = "flex")]
fn spelling_does_not_matter() {
    for name in ["Flex", " flex ", "FLEX"] {
        assert_eq!(open(name), open("flex"), "{name}");
        assert_eq!(canonical(name.to_owned()), "flex");
    }
    assert_eq!(canonical("WebGPU: 1".to_owned()), "wgpu:1");
    assert_eq!(canonical("Abacus".to_owned()), "Abacus");
}

#[test]
fn the_list_of_names_is_that_of_the_survey_and_auto() {
    let listed: Vec<&str> = survey().iter().map(|backend| backend.name).chain(["auto"]).collect();
    assert_eq!(listed, NAMES);
}

#[test]
#[cfg(feature = "ndarray")]
fn a_dtype_that_a_backend_lacks_is_told_with_the_backends_name() {
    let message = supports(&open("ndarray").unwrap(), Dtype::F16).unwrap_err().to_string();
    assert_eq!(message, "ndarray computes in f32 and f64, not in f16");
}

#[test]
#[cfg(not(feature = "cuda"))]
fn a_backend_that_is_not_compiled_in_names_its_feature() {
    let message = error("cuda:3");
    assert!(message.starts_with("backend `cuda` is not compiled in: build with `--features cuda`; "), "{message}");
}

#[test]
#[cfg(feature = "flex")]
fn the_processor_takes_no_number() {
    assert_eq!(error("flex:1"), "backend `flex:1`: `flex` is the processor and takes no number");
    assert_eq!(adapter_name(&open("flex").unwrap()), None);
}

#[test]
#[cfg(feature = "wgpu")]
fn a_number_that_is_none_is_refused() {
    let message = error("wgpu:first");
    assert_eq!(message, "backend `wgpu:first`: `first` is not the number of an adapter; `wgpu:0` is the first");
}

#[test]
#[cfg(feature = "wgpu")]
fn an_adapter_beyond_the_last_is_refused() {
    let message = error("wgpu:999");
    assert!(message.starts_with("backend `wgpu:999`: "), "{message}");
    assert!(message.contains("; this machine can run "), "{message}");
}

#[test]
fn auto_takes_what_the_survey_says_and_never_a_software_gpu_before_the_processor() {
    let survey = survey();
    let taken: Vec<_> = survey.iter().filter(|backend| backend.auto.is_some()).collect();
    assert_eq!(taken.len(), 1, "{survey:#?}");
    let processor = survey.iter().any(|backend| backend.adapters.iter().any(|adapter| adapter.kind == "processor"));
    assert!(!processor || taken[0].adapters.iter().any(|adapter| !adapter.software), "{survey:#?}");
    open("auto").unwrap();
}

#[test]
fn every_backend_of_the_survey_opens_and_passes_its_self_test() {
    for backend in survey() {
        assert_eq!(backend.missing.is_some(), backend.adapters.is_empty(), "{backend:#?}");
        for adapter in &backend.adapters {
            let device = open(&adapter.flag).unwrap_or_else(|error| panic!("{error}"));
            assert!(matches!(adapter.self_test, SelfTest::Passed { .. }), "{adapter:#?}");
            assert!(adapter.dtypes.contains(&Dtype::F32), "{adapter:#?}");
            let x = Tensor::<1>::from_data([-1.0f32, 2.0], (&device, DType::F32));
            assert_eq!(rectify::relu(x).try_into_vec_as::<f32>().unwrap(), [0.0, 2.0]);
        }
    }
}

#[test]
fn a_dtype_is_supported_exactly_where_the_survey_lists_it() {
    for adapter in survey().into_iter().flat_map(|backend| backend.adapters) {
        let device = open(&adapter.flag).unwrap();
        for dtype in [Dtype::F32, Dtype::F64, Dtype::F16, Dtype::Bf16] {
            match supports(&device, dtype) {
                Ok(()) => assert!(adapter.dtypes.contains(&dtype), "{adapter:#?}"),
                Err(BackendError::Dtype { works, .. }) => {
                    assert!(!adapter.dtypes.contains(&dtype), "{adapter:#?}");
                    assert!(works.contains("f32"), "{works}");
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[test]
#[cfg(feature = "wgpu")]
fn opening_twice_gives_the_same_device() {
    match (open("wgpu"), open("wgpu:0")) {
        (Ok(first), Ok(second)) => {
            assert_eq!(first, second);
            assert!(adapter_name(&second.autodiff()).is_some());
        }
        (first, second) => assert_eq!(first.unwrap_err().to_string(), second.unwrap_err().to_string()),
    }
}

/// Run by the next test in a process of its own, as drivers are loaded once in a process.
#[test]
#[ignore = "the next test runs it"]
#[cfg(all(feature = "wgpu", feature = "flex", target_os = "linux"))]
fn in_a_process_without_drivers() {
    let message = error("wgpu");
    assert!(message.contains("it found no GPU with a Vulkan"), "{message}");
    assert!(message.contains("mesa-vulkan-drivers"), "{message}");
    assert!(message.contains("; this machine can run flex, "), "{message}");
    let flex = survey().into_iter().find(|backend| backend.name == "flex").unwrap();
    let why = flex.auto.expect("auto takes flex");
    assert_eq!(why, "it is the fastest on the processor, and there is no GPU that it could use");
}

#[test]
#[cfg(all(feature = "wgpu", feature = "flex", target_os = "linux"))]
fn a_machine_without_gpu_drivers_gets_an_error_and_auto_the_processor() {
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "in_a_process_without_drivers", "--ignored"])
        .env("VK_DRIVER_FILES", "/dev/null")
        .env("VK_ICD_FILENAMES", "/dev/null")
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && stdout.contains("1 passed"), "{stdout}");
}
