// The entry point ONNX Runtime calls: registerCustomOpLibrary in Java, register_custom_ops_library in Python.
#include "attention_block.h"
#include "encoder_block.h"
#include "hallucinated_attention.h"
#include "image_to_tensor.h"
#include "linear_attention.h"
#include "merge_tokens.h"
#include "mlp_block.h"
#include "patch_merger.h"
#include "prune_merge_tokens.h"
#include "sample_tokens.h"
#include "token_attention.h"
#include "top_k_tokens.h"

namespace {

template <class Kernel>
void add(Ort::CustomOpDomain& domain) {
  static const coppice::Operator<Kernel, coppice::kFloat> single;
  static const coppice::Operator<Kernel, coppice::kHalf> half;
  domain.Add(&single);
  domain.Add(&half);
}

// Built once and kept: every session that registers shares the domain, and ONNX Runtime keeps pointers into it.
const Ort::CustomOpDomain& domain() {
  static const Ort::CustomOpDomain made = [] {
    Ort::CustomOpDomain d("dev.coppice");
    add<coppice::AttentionBlock>(d);
    add<coppice::EncoderBlock>(d);
    add<coppice::HallucinatedAttention>(d);
    // Pictures are bytes: nothing in the inputs could tell a graph of halves apart.
    static const coppice::Operator<coppice::ImageToTensor, coppice::kFloat> image_to_tensor;
    d.Add(&image_to_tensor);
    add<coppice::LinearAttention>(d);
    add<coppice::TokenAttention>(d);
    add<coppice::TokenScores>(d);
    add<coppice::TopKTokens>(d);
    add<coppice::SampleTokens>(d);
    add<coppice::ThresholdTokens>(d);
    add<coppice::MergeTokens>(d);
    add<coppice::PruneMergeTokens>(d);
    add<coppice::MlpBlock>(d);
    add<coppice::PatchMerger>(d);
    return d;
  }();
  return made;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) OrtStatus* RegisterCustomOps(OrtSessionOptions* options, const OrtApiBase* base) {
  const OrtApi* api = base->GetApi(ORT_API_VERSION);
  if (api == nullptr) {
    char message[160];
    std::snprintf(message, sizeof(message), "libcoppice_ops needs ONNX Runtime 1.%d or newer, found %s; use a newer ONNX Runtime.", ORT_API_VERSION,
                  base->GetVersionString());
    return base->GetApi(1)->CreateStatus(ORT_FAIL, message);
  }
  static const bool initialised = [&] {
    Ort::InitApi(api);
    return true;
  }();
  (void)initialised;
  return coppice::guarded("libcoppice_ops", [&] { Ort::UnownedSessionOptions(options).Add(domain()); });
}
