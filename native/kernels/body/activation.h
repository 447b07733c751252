// Activations of a transformer's MLP, for inclusion inside the anonymous namespace of one instruction set's source. NaN stays NaN.

// x Phi(x) = max(x, 0) - |x| Phi(-|x|), and Phi(-t) = 2^p(t): p is log2 Phi(-t) for t in 0..6, fitted so that the error of |x| Phi(-|x|)
// is 4e-8 |x|. Beyond 6 it stays below 6e-9.
COPPICE_INLINE inline Vec gelu(Vec x) {
  const Vec t = at_most(magnitude(x), splat(6));
  Vec p = splat(8.470210559607949e-06f);
  p = p * t + splat(-5.390422302298248e-05f);
  p = p * t + splat(-0.0004212337953504175f);
  p = p * t + splat(0.007389267906546593f);
  p = p * t + splat(-0.052691105753183365f);
  p = p * t + splat(-0.4591531455516815f);
  p = p * t + splat(-1.1511108875274658f);
  p = p * t + splat(-0.9999998807907104f);
  return at_least(x, splat(0)) - t * exp2_within(p);
}

// 1 / (1 + e^-x)
inline Vec sigmoid(Vec x) {
  const Vec e = exp_negative(-magnitude(x));
  return (x < splat(0) ? e : splat(1)) / (splat(1) + e);
}

inline Vec gelu_tanh(Vec x) { return x * sigmoid(splat(1.5957691216f) * (x + splat(0.044715f) * x * x * x)); }
