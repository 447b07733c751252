// Eight threads at once: the kernels as the adapters share them out, and whole calls in ONNX Runtime. Made for ThreadSanitizer.
#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <thread>

#include "bodies.h"
#include "calls.h"
#include "top_k.h"

namespace coppice::test {
namespace {

constexpr size_t kThreads = 8;

// task(number, worker) for each number below `tasks`, on eight threads: what ONNX Runtime's pool does for an adapter.
template <class Task>
void in_parallel(size_t tasks, Task task) {
  std::atomic<size_t> next{0};
  std::vector<std::thread> threads;
  for (size_t worker = 0; worker < kThreads; ++worker) {
    threads.emplace_back([&, worker] {
      for (size_t number = next++; number < tasks; number = next++) task(number, worker);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

class Threads : public testing::TestWithParam<const Kernels*> {
 protected:
  Threads() {
    problem.query_index.assign(problem.tokens, 0);  // token 0 in every tile
    for (size_t i = 1; i < problem.tokens; i += 2) problem.query_index[i] = static_cast<int64_t>(i);
  }

  const Kernels& kernels = *GetParam();
  Problem problem = random_problem(300, 2, 20, 1);
  std::vector<float> y = std::vector<float>(problem.tokens * problem.width());
  const size_t tiles = (problem.tokens + 15) / 16;

  Attention attention() {
    return {problem.qkv.data(), problem.tokens, problem.heads, problem.dim, problem.tokens, problem.query_index.data(), nullptr, y.data()};
  }
  std::vector<std::vector<float>> workers(size_t waves) const {
    return std::vector<std::vector<float>>(kThreads, std::vector<float>(kernels.scratch(problem.dim, waves).worker));
  }
  // body(head, first row, end of rows, worker)
  template <class Body>
  void each_tile(Body body) {
    in_parallel(problem.heads * tiles, [&](size_t task, size_t worker) {
      const size_t begin = task % tiles * 16;
      body(task / tiles, begin, std::min(begin + 16, problem.tokens), worker);
    });
  }
};

INSTANTIATE_TEST_SUITE_P(, Threads, testing::ValuesIn(bodies()), [](const auto& info) { return std::string(info.param->isa); });

constexpr LinearForm kForm{FeatureMap::kElu1, Normalize::kRowSum, 1e-6f, false, {}, nullptr};

TEST_P(Threads, ShouldShareTheLinearOrder) {
  auto scratch = workers(0);
  const size_t summary = kernels.scratch(problem.dim, 0).summary;
  std::vector<float> summaries(problem.heads * summary);
  in_parallel(problem.heads * problem.dim, [&](size_t task, size_t worker) {
    const size_t head = task / problem.dim, feature = task % problem.dim;
    kernels.summarise(attention(), kForm, head, feature, feature + 1, summaries.data() + head * summary, scratch[worker].data());
  });
  each_tile([&](size_t head, size_t begin, size_t end, size_t worker) {
    kernels.linear_rows(attention(), kForm, head, begin, end, summaries.data() + head * summary, scratch[worker].data());
  });
  EXPECT_EQ(y, run_linear(kernels, problem, kForm, {16, 1}));
}

TEST_P(Threads, ShouldShareTheQuadraticOrder) {
  auto scratch = workers(0);
  each_tile([&](size_t head, size_t begin, size_t end, size_t worker) {
    kernels.quadratic_rows(attention(), kForm, head, begin, end, scratch[worker].data());
  });
  EXPECT_EQ(y, run_quadratic(kernels, problem, kForm, {16, 1}));
}

TEST_P(Threads, ShouldShareTheSoftmaxAndItsScores) {
  auto scratch = workers(0);
  const size_t rows = problem.tokens;
  std::vector<float> class_rows(problem.heads * rows), received(problem.heads * rows), statistics(problem.heads * 2 * rows);
  const auto of_head = [&](size_t head) { return RowStatistics{statistics.data() + 2 * head * rows, statistics.data() + (2 * head + 1) * rows}; };
  each_tile([&](size_t head, size_t begin, size_t end, size_t worker) {
    kernels.softmax_rows(attention(), 0.2f, head, begin, end, begin == 0 ? class_rows.data() + head * rows : nullptr, of_head(head),
                         scratch[worker].data());
  });
  each_tile([&](size_t head, size_t begin, size_t end, size_t worker) {
    kernels.received(attention(), 0.2f, head, begin, end, of_head(head), received.data() + head * rows, scratch[worker].data());
  });
  EXPECT_EQ(y, run_softmax(kernels, problem, 0.2f, nullptr, {16, 1}));
  EXPECT_EQ(received, run_received(kernels, problem, 0.2f, {16, 1}));
}

TEST_P(Threads, ShouldScoreAndSelectSideBySide) {
  std::vector<std::vector<int64_t>> kept(kThreads, std::vector<int64_t>(100));
  in_parallel(kThreads, [&](size_t task, size_t) {
    std::vector<float> scores(problem.tokens), norms(problem.tokens);
    std::vector<uint32_t> order(problem.tokens);
    kernels.class_attention(attention(), 0.2f, 0, false, scores.data());
    kernels.value_norms(attention(), norms.data());
    for (size_t i = 0; i < scores.size(); ++i) scores[i] *= norms[i];
    top_k_tokens(scores.data(), problem.tokens, 1, 99, kept[task].data(), order.data());
  });
  for (const std::vector<int64_t>& each : kept) EXPECT_EQ(each, kept[0]);
}

std::vector<char> bytes_of(const Ort::Value& value) {
  const auto info = value.GetTensorTypeAndShapeInfo();
  const auto* first = static_cast<const char*>(value.GetTensorRawData());
  return {first, first + info.GetElementCount() * width_of(info.GetElementType())};
}

class Callers : public testing::TestWithParam<Call> {};
INSTANTIATE_TEST_SUITE_P(, Callers, testing::ValuesIn(calls(150)), [](const auto& info) { return info.param.name; });

// One session, eight callers; and eight sessions made at once.
TEST_P(Callers, ShouldGetTheSameAnswers) {
  NodeSession shared(GetParam().node);
  const Outcome alone = shared.run(GetParam().node);
  ASSERT_EQ(alone.code, ORT_OK) << alone.message;
  in_parallel(4 * kThreads, [&](size_t task, size_t) {
    std::optional<NodeSession> own;
    if (task % 4 == 0) own.emplace(GetParam().node);
    const Outcome outcome = (own ? *own : shared).run(GetParam().node);
    ASSERT_EQ(outcome.code, ORT_OK) << outcome.message;
    for (size_t i = 0; i < outcome.outputs.size(); ++i) EXPECT_EQ(bytes_of(outcome.outputs[i]), bytes_of(alone.outputs[i])) << "output " << i;
  });
}

}  // namespace
}  // namespace coppice::test
