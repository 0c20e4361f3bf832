/* This machine's limits: copying f32 arrays, and the matrix products of one training step of the MLP.
 * limit.py builds it as a shared library, so that it can time the sgemm inside PyTorch's and NumPy's own libraries. */

#include <immintrin.h>
#include <omp.h>
#include <stdint.h>
#include <string.h>

/* Past the cache: no line of the destination is read before it is written. */
static void copy_streaming(float *to, const float *from, int64_t n) {
    for (int64_t i = 0; i < n; i += 8) _mm256_stream_ps(to + i, _mm256_load_ps(from + i));
    _mm_sfence();
}

/* Seconds a copy of n floats takes, split over threads. n is a multiple of 8 * threads; both arrays are aligned to
 * 32 bytes. */
double copy_seconds(float *to, const float *from, int64_t n, int threads, int streaming, int repeats) {
    double begin = 0;
#pragma omp parallel num_threads(threads)
    {
        const int64_t part = n / threads, offset = part * omp_get_thread_num();
        for (int repeat = -1; repeat < repeats; repeat++) {
            if (repeat == 0) {
#pragma omp barrier
#pragma omp master
                begin = omp_get_wtime();
            }
            if (streaming) copy_streaming(to + offset, from + offset, part);
            else memcpy(to + offset, from + offset, part * sizeof(float));
            /* Keeps the compiler from dropping repeats, whose result is the same. */
            __asm__ volatile("" ::: "memory");
        }
    }
    return (omp_get_wtime() - begin) / repeats;
}

/* Fortran's sgemm. Integers are passed as 64-bit ones, whose lower half a library with 32-bit ones reads. */
typedef void sgemm_t(const char *, const char *, const int64_t *, const int64_t *, const int64_t *, const float *,
                     const float *, const int64_t *, const float *, const int64_t *, const float *, float *,
                     const int64_t *);

/* Row-major c[m,n] = a[m,k] b[k,n]; either operand may be stored transposed. Fortran sees transposes: c' = b' a'. */
static void product(sgemm_t *sgemm, int64_t m, int64_t n, int64_t k, const float *a, int a_transposed, const float *b,
                    int b_transposed, float *c) {
    const float one = 1, zero = 0;
    const int64_t lda = a_transposed ? m : k, ldb = b_transposed ? k : n;
    sgemm(b_transposed ? "T" : "N", a_transposed ? "T" : "N", &n, &m, &k, &one, b, &ldb, a, &lda, &zero, c, &n);
}

static const int64_t WIDTHS[] = {784, 128, 128, 128, 128, 10};

/* The 14 products: forward, gradients of the weights, gradients of every input but the first. */
static void step_products(sgemm_t *sgemm, int64_t batch, float *memory) {
    float *x = memory, *y = x + batch * 784, *w = y + batch * 784, *w_gradient = w + 784 * 128;
    for (int layer = 0; layer < 5; layer++) {
        product(sgemm, batch, WIDTHS[layer + 1], WIDTHS[layer], x, 0, w, 0, y);
    }
    for (int layer = 4; layer >= 0; layer--) {
        product(sgemm, WIDTHS[layer], WIDTHS[layer + 1], batch, x, 1, y, 0, w_gradient);
        /* Into the gradient's place: x stays as random as it came, whatever the number of repeats. */
        if (layer > 0) product(sgemm, batch, WIDTHS[layer], WIDTHS[layer + 1], y, 0, w, 1, w_gradient);
    }
}

/* Seconds a step's products take, the batch split over `parts` threads that join once a step. The library may use
 * more threads inside a product. `memory` has 1 << 20 floats for each part. */
double products_seconds(sgemm_t *sgemm, int64_t batch, int parts, float *memory, int repeats) {
    double begin = 0;
    /* No parallel region for one part: inside one, libraries keep to a single thread. */
    if (parts == 1) {
        step_products(sgemm, batch, memory);
        begin = omp_get_wtime();
        for (int repeat = 0; repeat < repeats; repeat++) step_products(sgemm, batch, memory);
        return (omp_get_wtime() - begin) / repeats;
    }
#pragma omp parallel num_threads(parts)
    for (int repeat = -1; repeat < repeats; repeat++) {
#pragma omp barrier
#pragma omp master
        if (repeat == 0) begin = omp_get_wtime();
        step_products(sgemm, batch / parts, memory + ((int64_t)omp_get_thread_num() << 20));
    }
    return (omp_get_wtime() - begin) / repeats;
}
