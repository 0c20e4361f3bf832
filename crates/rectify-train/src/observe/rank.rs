//! In how many directions a layer's activations vary.

/// Samples that it is computed from: no batch shows more directions than it has samples, and the cost grows with their
/// square.
const SAMPLES: usize = 64;

/// The participation ratio (Σλ)²/Σλ² of the eigenvalues of the covariance of `values`, rows of `units`. It is 1 where
/// samples lie on a line, and n where they vary alike in n directions.
///
/// No eigenvalue is needed: of the centred samples' Gram matrix K, which has the same ones but for a factor, Σλ is the
/// trace and Σλ² the squared Frobenius norm. `None` with fewer than two samples, where all are equal, and where a value
/// is not finite.
pub fn effective_rank(values: &[f64], units: usize) -> Option<f64> {
    let samples = (values.len() / units.max(1)).min(SAMPLES);
    let mut rows: Vec<f64> = values[..samples * units].to_vec();
    for unit in 0..units {
        let mean = (0..samples).map(|row| rows[row * units + unit]).sum::<f64>() / samples as f64;
        (0..samples).for_each(|row| rows[row * units + unit] -= mean);
    }
    // Squares of squares would leave the range of numbers.
    let scale = rows.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    if samples < 2 || scale == 0.0 || !scale.is_finite() {
        return None;
    }
    rows.iter_mut().for_each(|value| *value /= scale);
    let (mut trace, mut frobenius) = (0.0, 0.0);
    for (i, a) in rows.chunks_exact(units).enumerate() {
        for (j, b) in rows.chunks_exact(units).enumerate().take(i + 1) {
            let dot = dot(a, b);
            trace += if i == j { dot } else { 0.0 };
            frobenius += dot * dot * if i == j { 1.0 } else { 2.0 };
        }
    }
    let rank = trace * trace / frobenius;
    rank.is_finite().then_some(rank)
}

/// Σ aᵢbᵢ. One sum after the other would wait for each addition; eight at once take a quarter of the time.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a, a_rest) = a.as_chunks::<8>();
    let (b, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f64>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::{dot, effective_rank};

    #[test]
    fn products_are_summed_whatever_their_number() {
        for length in [0, 1, 7, 8, 9, 24, 27] {
            let numbers: Vec<f64> = (0..length).map(f64::from).collect();
            let n = f64::from(length);
            assert_eq!(dot(&numbers, &numbers), (n - 1.0) * n * (2.0 * n - 1.0) / 6.0, "{length}");
        }
    }

    #[test]
    fn it_counts_directions() {
        // On a line; in two directions alike, ±e₁ and ±e₂; in two, one of them with four times the variance of the
        // other: (4 + 1)²/(16 + 1).
        let close = |values: &[f64], expected: f64| {
            let found = effective_rank(values, 2).unwrap();
            assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
        };
        close(&[1.0, 2.0, 2.0, 4.0, 5.0, 10.0], 1.0);
        close(&[1.0, 0.0, -1.0, 0.0, 0.0, 1.0, 0.0, -1.0], 2.0);
        close(&[2e200, 0.0, -2e200, 0.0, 0.0, 1e200, 0.0, -1e200], 25.0 / 17.0);
        for nothing in [&[][..], &[1.0, 2.0], &[1.0, 2.0, 1.0, 2.0], &[f64::NAN, 0.0, 1.0, 1.0]] {
            assert_eq!(effective_rank(nothing, 2), None, "{nothing:?}");
        }
    }
}
