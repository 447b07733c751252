// The entry point ONNX Runtime calls: registerCustomOpLibrary in Java, register_custom_ops_library in Python.
#include "hallucinated_attention.h"
#include "image_to_tensor.h"
#include "linear_attention.h"
#include "token_attention.h"
#include "top_k_tokens.h"

namespace {

// Built once and kept: every session that registers shares the domain, and ONNX Runtime keeps pointers into it.
const Ort::CustomOpDomain& domain() {
  static const coppice::Operator<coppice::HallucinatedAttention> hallucinated_attention;
  static const coppice::Operator<coppice::ImageToTensor> image_to_tensor;
  static const coppice::Operator<coppice::LinearAttention> linear_attention;
  static const coppice::Operator<coppice::TokenAttention> token_attention;
  static const coppice::Operator<coppice::TokenScores> token_scores;
  static const coppice::Operator<coppice::TopKTokens> top_k_tokens;
  static const Ort::CustomOpDomain made = [] {
    Ort::CustomOpDomain d("dev.coppice");
    d.Add(&hallucinated_attention);
    d.Add(&image_to_tensor);
    d.Add(&linear_attention);
    d.Add(&token_attention);
    d.Add(&token_scores);
    d.Add(&top_k_tokens);
    return d;
  }();
  return made;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) OrtStatus* RegisterCustomOps(OrtSessionOptions* options, const OrtApiBase* base) {
  const OrtApi* api = base->GetApi(ORT_API_VERSION);
  if (api == nullptr) {
    const std::string message = "libcoppice_ops needs ONNX Runtime 1." + std::to_string(ORT_API_VERSION) + " or newer, found " +
                                base->GetVersionString() + "; use a newer ONNX Runtime.";
    return base->GetApi(1)->CreateStatus(ORT_FAIL, message.c_str());
  }
  static const bool initialised = [&] {
    Ort::InitApi(api);
    return true;
  }();
  (void)initialised;
  return coppice::guarded("libcoppice_ops", [&] { Ort::UnownedSessionOptions(options).Add(domain()); });
}
