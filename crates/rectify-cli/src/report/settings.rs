//! Every setting, and the machine.

use maud::{Markup, html};
use rectify_train::{
    experiment::{Experiment, Init},
    record::{Environment, Results},
};

use crate::draw::page::Section;

/// More than this are not listed one by one where they are counted.
const MOST_SEEDS: usize = 20;

pub fn section(results: &Results) -> Section {
    Section {
        id: "settings",
        title: "Settings",
        body: html! {
            @match &results.experiment.own {
                Some(own) => p { "A network of one's own, " (own) ", in a loop of its own: its settings are not recorded." },
                None => (settings(&results.experiment)),
            }
            h3 { "Environment" }
            (environment(&results.environment))
        },
    }
}

fn settings(experiment: &Experiment) -> Markup {
    // Taken apart without `..`, so that a new setting cannot be forgotten here.
    let Experiment {
        dataset,
        image_size,
        label_column,
        from,
        own: _,
        model,
        hidden: _,
        norm,
        residual,
        dropout,
        activations,
        init,
        bias_init,
        optimizer,
        lr,
        schedule,
        tune,
        momentum,
        weight_decay,
        clip_norm,
        batch_size,
        epochs,
        steps,
        patience,
        keep_last,
        seeds,
        seed,
        shard,
        backend,
        dtype,
        train_size,
        jobs,
        threads,
        vectorise,
        probe_every,
        log,
        // A sweep has a page of its own.
        sweep: _,
    } = experiment;
    let init = match init {
        Init::Auto => {
            let resolved: Vec<_> =
                activations.iter().map(|name| format!("{} for {name}", init.resolve(name))).collect();
            format!("auto: {}", list(&resolved))
        }
        _ => init.to_string(),
    };
    let lr = match lr {
        Some(lr) => lr.to_string(),
        None => format!("{} (the optimizer's default)", experiment.learning_rate()),
    };
    let rows = [
        ("dataset", dataset.clone()),
        ("image_size", or(*image_size, "as they are")),
        ("label_column", or(label_column.as_ref(), "by its name, or the last")),
        ("from", or(from.as_ref(), "drawn weights")),
        ("train_size", or(*train_size, "all")),
        ("model", model.to_string()),
        ("hidden", list(&experiment.hidden())),
        ("norm", norm.to_string()),
        ("residual", residual.to_string()),
        ("dropout", dropout.to_string()),
        ("activations", list(activations)),
        ("init", init),
        ("bias_init", or(*bias_init, "the initialisation's")),
        ("optimizer", optimizer.to_string()),
        ("lr", lr),
        ("schedule", schedule.to_string()),
        ("tune", or(tune.as_ref(), "nothing")),
        ("momentum", or(*momentum, "of no effect")),
        ("weight_decay", weight_decay.to_string()),
        ("clip_norm", or(*clip_norm, "no clipping")),
        ("batch_size", batch_size.to_string()),
        ("epochs", or(*epochs, "as many as the steps need")),
        ("steps", or(*steps, "as many as the epochs have")),
        ("patience", or(*patience, "none")),
        ("keep_last", keep_last.to_string()),
        (
            "seeds",
            if seed.is_none() && *seeds > MOST_SEEDS {
                format!("0 to {}", seeds - 1)
            } else {
                list(&experiment.seeds())
            },
        ),
        ("shard", or(shard.as_ref(), "all trainings")),
        ("probe_every", probe_every.to_string()),
        ("log", or(*log, "metrics.jsonl alone")),
        ("backend", backend.clone()),
        ("dtype", dtype.to_string()),
        ("jobs", or(*jobs, "the backend's default")),
        ("threads", threads.to_string()),
        ("vectorise", vectorise.to_string()),
    ];
    definitions(&rows)
}

pub fn environment(environment: &Environment) -> Markup {
    let Environment { rectify, burn, backend, adapter, cpu, threads } = environment;
    definitions(&[
        ("rectify", rectify.clone()),
        ("burn", burn.clone()),
        ("backend", backend.clone()),
        ("adapter", or(adapter.as_ref(), "none")),
        ("cpu", cpu.clone()),
        ("threads", threads.to_string()),
    ])
}

fn or<T: ToString>(value: Option<T>, otherwise: &str) -> String {
    value.map_or(otherwise.to_owned(), |value| value.to_string())
}

fn list<T: ToString>(values: &[T]) -> String {
    if values.is_empty() { "none".to_owned() } else { values.iter().map(T::to_string).collect::<Vec<_>>().join(", ") }
}

fn definitions(rows: &[(&str, String)]) -> Markup {
    html! { dl { @for (name, value) in rows { dt { (name) } dd { (value) } } } }
}
