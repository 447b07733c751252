#include "merge_tokens.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "matching.h"

namespace coppice {

// What is decided for each item of the batch.
struct MergeTokens::Plans {
  size_t tokens, sources;
  std::vector<float> similarity;  // [batch, sources]
  std::vector<uint32_t> partner;  // [batch, sources]
  std::vector<uint32_t> chains;   // [batch, 2, tokens]: first, next
  std::vector<int64_t> group;     // [batch, tokens]
  std::vector<size_t> rows;       // [batch]

  Plans(size_t batch, const Merge& merge)
      : tokens(merge.tokens), sources(merge.sources()), similarity(batch * sources), partner(batch * sources), chains(batch * 2 * tokens),
        group(batch * tokens), rows(batch) {}
  MergePlan item(size_t b) { return {chains.data() + 2 * b * tokens, chains.data() + (2 * b + 1) * tokens, group.data() + b * tokens}; }
};

MergeTokens::MergeTokens(const Ort::ConstKernelInfo& info, const char* order) {
  prefix_ = prefix_attribute(info);
  heads_ = static_cast<size_t>(integer_attribute(info, "num_heads", 0, 0, 4096));
  by_threshold_ = choice_attribute(info, "rule", {"bipartite", "threshold"}) == 1;
  raster_ = choice_attribute(info, order, {"tome", "raster"}) == 1;
  pad_ = integer_attribute(info, "pad", 0, 0, 1) == 1;
}

Merge MergeTokens::described(const Input& x, const Input& metric) const {
  if (metric.shape[0] != x.shape[0] || metric.shape[1] != x.shape[1]) {
    refuse("input metric must have shape [" + std::to_string(x.shape[0]) + "," + std::to_string(x.shape[1]) + ",d] to match x " +
           shape_text(x.shape) + ", found " + shape_text(metric.shape) + ".");
  }
  const size_t length = metric.size(2), tokens = x.size(1);
  if (length == 0 || (heads_ > 0 && length % (3 * heads_) != 0)) {
    refuse("input metric must have shape " + (heads_ > 0 ? "[B,N,3D] with D a multiple of num_heads=" + std::to_string(heads_) : std::string("[B,N,d]")) +
           " and at least one feature, found " + shape_text(metric.shape) + "; connect the packed projection for num_heads > 0, or leave num_heads out.");
  }
  if (prefix_ > tokens) refuse("input x " + shape_text(x.shape) + " has fewer tokens than prefix_tokens=" + std::to_string(prefix_) + ".");
  if (heads_ == 0) return {metric.floats(), length, 1, length, tokens, prefix_};
  // An empty tensor has no address to count from.
  const float* keys = metric.data == nullptr ? nullptr : metric.floats() + length / 3;
  return {keys, length, heads_, length / 3 / heads_, tokens, prefix_};
}

void MergeTokens::compute(Ort::KernelContext& context) {
  const Input x = required(context, 0, "x", "B,N,D");
  const Input metric = required(context, 1, "metric", "B,N,d");
  const std::optional<Input> size = optional(context, 3, "size", "B,N");
  select(context, x, metric, size, limits(context, 2, 4, x, metric, size), {0, kNoOutput, 1, 2, 3});
}

MergeTokens::Limits MergeTokens::limits(Ort::KernelContext& context, size_t count_number, size_t threshold_number, const Input& x, const Input& metric,
                                        const std::optional<Input>& size) const {
  const Merge merge = described(x, metric);
  const auto connected = [&](size_t number) { return number < context.GetInputCount() && context.GetInput(number) != nullptr; };
  const bool counted = connected(count_number);
  if (!counted && !by_threshold_) refuse("input count is missing; connect the number of tokens to merge, or set attribute rule=threshold.");
  if (connected(threshold_number) != by_threshold_) {
    refuse(by_threshold_ ? "input threshold is missing; connect the similarity above which rule=threshold merges."
                         : "input threshold needs attribute rule=threshold, found bipartite; set it or leave the input out.");
  }
  const int64_t asked = counted ? integer_value(context, count_number, "count") : std::numeric_limits<int64_t>::max();
  if (asked < 0) refuse("count must be 0 or more tokens to merge, found " + std::to_string(asked) + ".");
  const float threshold = by_threshold_ ? float_value(context, threshold_number, "threshold") : 0;
  if (std::isnan(threshold)) refuse("threshold must be a number, found nan; 1 or more merges nothing.");
  if (size) expect_shape(*size, "size", {x.shape[0], x.shape[1]}, "to match x");
  if (by_threshold_) expect_one_item(x, "x", pad_);
  return {static_cast<size_t>(std::min(asked, static_cast<int64_t>(most_merges(merge)))), threshold};
}

FloatOutput MergeTokens::select(Ort::KernelContext& context, const Input& x, const Input& metric, const std::optional<Input>& size, const Limits& limits,
                                const SelectionOutputs& outputs) {
  const MergeKernels& kernels = merge_kernels(kernels_in_use().isa);
  const Merge merge = described(x, metric);
  const size_t batch = x.size(0), tokens = x.size(1), width = x.size(2), most = limits.most;
  Plans plans(batch, merge);
  if (most > 0) {
    find_partners(context, allocator_, kernels, merge.match(), batch, tokens * metric.size(2), plans.similarity.data(), plans.partner.data());
  }
  std::vector<int64_t> merged(most);
  std::vector<uint32_t> order(plans.sources);
  for (size_t b = 0; b < batch; ++b) {
    const float* similarity = plans.similarity.data() + b * plans.sources;
    const size_t count = by_threshold_ && most > 0 ? std::min(most, count_similar(similarity, plans.sources, limits.threshold)) : most;
    plans.rows[b] = plan_merge(merge, similarity, plans.partner.data() + b * plans.sources, count, raster_ ? MergeOrder::kRaster : MergeOrder::kTome,
                               merged.data(), order.data(), plans.item(b));
  }

  const size_t rows = by_threshold_ ? (pad_ || batch == 0 ? tokens : plans.rows[0]) : tokens - most;
  const int64_t row_axis = static_cast<int64_t>(rows);
  FloatOutput averaged(context, outputs.y, {x.shape[0], row_axis, x.shape[2]});
  const FloatOutput summed(context, outputs.size, {x.shape[0], row_axis});
  int64_t* const group = integer_output(context, outputs.group, {x.shape[0], x.shape[1]});
  int64_t* const kept_count = integer_output(context, outputs.kept_count, {x.shape[0]});
  float *const y = averaged.data(), *merged_size = summed.data();
  std::vector<float> unasked(merged_size ? 0 : batch * rows);
  if (merged_size == nullptr) merged_size = unasked.data();
  if (group) std::copy(plans.group.begin(), plans.group.end(), group);

  const size_t tiles = (rows + kAverageTile - 1) / kAverageTile;
  parallel(context, batch * tiles, [&](size_t task, size_t) {
    const size_t b = task / tiles, begin = task % tiles * kAverageTile, end = std::min(begin + kAverageTile, rows);
    const size_t real = std::max(begin, std::min(end, plans.rows[b]));
    float* out = y + b * rows * width;
    kernels.average_rows(plans.item(b), x.floats() + b * tokens * width, width, size ? size->floats() + b * tokens : nullptr, begin, real, out,
                         merged_size + b * rows);
    std::fill(out + real * width, out + end * width, 0.0f);
    std::fill(merged_size + b * rows + real, merged_size + b * rows + end, 0.0f);
  });
  for (size_t b = 0; b < batch && kept_count; ++b) kept_count[b] = static_cast<int64_t>(plans.rows[b]);
  return averaged;
}

}  // namespace coppice
