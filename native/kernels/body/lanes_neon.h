// Four steps of a matrix product for 64-bit ARM, which multiplies by one lane of a vector: no value of a is spread first.
// For inclusion by gemm.h.
//
// In assembly, because the order counts on a core that issues in order and the compiler has its own: loads and the
// arithmetic of addresses stand together in front of the products, and the products go round all sums before they come back
// to the first. Share of the multiply-add peak in LLVM 19's model of Cortex-A53, 8 x 8 tile, 2026-11-21: loads together
// 71 %, spread among the products 43 %, products in the order of gcc 12.2 26 %.

// Loads a vector of each of four rows, `offset` bytes behind their beginnings.
inline void load_rows(const float* const (&row)[4], size_t offset, Vec& v0, Vec& v1, Vec& v2, Vec& v3) {
  __asm__ volatile(
      "ldr %q0, [%4, %8]\n\tldr %q1, [%5, %8]\n\tldr %q2, [%6, %8]\n\tldr %q3, [%7, %8]"
      : "=w"(v0), "=w"(v1), "=w"(v2), "=w"(v3)
      : "r"(row[0]), "r"(row[1]), "r"(row[2]), "r"(row[3]), "r"(offset)
      : "memory");
}

// Where four steps of a or b lie.
struct Steps {
  const float *s0, *s1, *s2, *s3;
  size_t next;  // bytes from one step to the fourth after it
  Steps(const float* first, size_t step) : s0(first), s1(s0 + step), s2(s1 + step), s3(s2 + step), next(4 * step * sizeof(float)) {}
};

// Loads the first vector of each step, and the second if Two; goes on to the next four steps.
template <bool Two>
inline void load_steps(Steps& s, Vec (&first)[4], Vec (&second)[4]) {
  if constexpr (Two) {
    __asm__ volatile(
        "ldr %q0, [%8]\n\tldr %q4, [%8, 16]\n\tldr %q1, [%9]\n\tadd %8, %8, %12\n\tldr %q5, [%9, 16]\n\tldr %q2, [%10]\n\t"
        "add %9, %9, %12\n\tldr %q6, [%10, 16]\n\tldr %q3, [%11]\n\tadd %10, %10, %12\n\tldr %q7, [%11, 16]\n\tadd %11, %11, %12"
        : "=&w"(first[0]), "=&w"(first[1]), "=&w"(first[2]), "=&w"(first[3]), "=&w"(second[0]), "=&w"(second[1]), "=&w"(second[2]),
          "=&w"(second[3]), "+&r"(s.s0), "+&r"(s.s1), "+&r"(s.s2), "+&r"(s.s3)
        : "r"(s.next)
        : "memory");
  } else {
    __asm__ volatile(
        "ldr %q0, [%4]\n\tldr %q1, [%5]\n\tadd %4, %4, %8\n\tldr %q2, [%6]\n\tadd %5, %5, %8\n\tldr %q3, [%7]\n\tadd %6, %6, %8\n\t"
        "add %7, %7, %8"
        : "=&w"(first[0]), "=&w"(first[1]), "=&w"(first[2]), "=&w"(first[3]), "+&r"(s.s0), "+&r"(s.s1), "+&r"(s.s2), "+&r"(s.s3)
        : "r"(s.next)
        : "memory");
  }
}

// c += b * a[Lane]
template <int Lane>
inline void multiply_lane(Vec& c, Vec b, Vec a) {
  __asm__ volatile("fmla %0.4s, %1.4s, %2.s[%3]" : "+w"(c) : "w"(b), "w"(a), "i"(Lane));
}
