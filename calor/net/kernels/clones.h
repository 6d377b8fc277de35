// Compiles a function for several instruction sets and picks one when the program starts, so that
// plain loops run at the width of the processor although the program is built for any x86-64.
// Results do not differ between the copies: kernels are compiled without contraction to FMA.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__CUDACC__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CALOR_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CALOR_CLONES  // resolvers run before a sanitizer is ready
#endif

// For what a cloned function calls: inlined, it is compiled for each instruction set too, and for
// the GPU where nvcc compiles it.
#if defined(__CUDACC__)
#define CALOR_INLINE __host__ __device__ __forceinline__
#elif defined(__GNUC__)
#define CALOR_INLINE __attribute__((always_inline)) inline
#else
#define CALOR_INLINE inline
#endif
