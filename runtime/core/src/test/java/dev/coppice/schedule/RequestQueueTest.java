package dev.coppice.schedule;

import static org.assertj.core.api.Assertions.assertThat;

import dev.coppice.schedule.RequestQueue.Offer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** Order, bounds and end of the queue. */
final class RequestQueueTest {

  private final List<String> dropped = new ArrayList<>();

  private static List<String> drain(RequestQueue<String> queue) throws InterruptedException {
    List<String> order = new ArrayList<>();
    while (queue.size() > 0) {
      order.add(queue.take().orElseThrow());
    }
    return order;
  }

  @Test
  void shouldGiveTheMostUrgentFirstThenTheEarliestDeadlineThenTheOldest() throws InterruptedException {
    RequestQueue<String> queue = new RequestQueue<>(10, false);
    queue.offer("background", 2, 1, dropped::add);
    queue.offer("late", 1, 50, dropped::add);
    queue.offer("old", 1, 20, dropped::add);
    queue.offer("young", 1, 20, dropped::add);
    queue.offer("urgent", 0, 99, dropped::add);
    assertThat(queue.ahead(1, 20)).isEqualTo(3);
    assertThat(drain(queue)).containsExactly("urgent", "old", "young", "late", "background");
  }

  @Test
  void shouldOrderDeadlinesAcrossTheEndOfTheClock() throws InterruptedException {
    RequestQueue<String> queue = new RequestQueue<>(10, false);
    queue.offer("after", 1, Long.MIN_VALUE + 5, dropped::add);
    queue.offer("before", 1, Long.MAX_VALUE - 5, dropped::add);
    assertThat(drain(queue)).containsExactly("before", "after");
  }

  @Test
  void shouldRefuseWhenFull() {
    RequestQueue<String> queue = new RequestQueue<>(1, false);
    assertThat(queue.offer("first", 1, 0, dropped::add)).isEqualTo(Offer.TAKEN);
    assertThat(queue.offer("second", 0, 0, dropped::add)).isEqualTo(Offer.FULL);
    assertThat(dropped).isEmpty();
  }

  @Test
  void shouldLetTheNewestFrameWin() throws InterruptedException {
    RequestQueue<String> queue = new RequestQueue<>(2, true);
    queue.offer("one", 1, 1, dropped::add);
    queue.offer("two", 1, 2, dropped::add);
    assertThat(queue.offer("three", 1, 3, dropped::add)).isEqualTo(Offer.TAKEN);
    assertThat(dropped).containsExactly("one");
    assertThat(drain(queue)).containsExactly("two", "three");
  }

  @Test
  void shouldNotDropUrgentWorkForOther() {
    RequestQueue<String> queue = new RequestQueue<>(1, true);
    queue.offer("urgent", 0, 1, dropped::add);
    assertThat(queue.offer("other", 1, 1, dropped::add)).isEqualTo(Offer.FULL);
    assertThat(dropped).isEmpty();
  }

  @Test
  void shouldHandOverWhatWaitsWhenItCloses() throws InterruptedException {
    RequestQueue<String> queue = new RequestQueue<>(3, false);
    queue.offer("one", 1, 1, dropped::add);
    queue.close(dropped::add);
    assertThat(dropped).containsExactly("one");
    assertThat(queue.offer("two", 1, 1, dropped::add)).isEqualTo(Offer.CLOSED);
    assertThat(queue.take()).isEqualTo(Optional.empty());
  }

  @Test
  void shouldLoseAndDoubleNothingUnderManyThreads() throws Exception {
    RequestQueue<Integer> queue = new RequestQueue<>(8, false);
    AtomicInteger out = new AtomicInteger();
    int perThread = 20_000;
    ExecutorService threads = Executors.newFixedThreadPool(4);
    List<Future<?>> producers = new ArrayList<>();
    for (int t = 0; t < 2; t++) {
      int lane = t;
      producers.add(threads.submit(() -> {
        for (int i = 0; i < perThread; i++) {
          while (queue.offer(i, lane, i, dropped -> {}) == Offer.FULL) {
            Thread.yield();
          }
        }
      }));
      threads.submit(() -> {
        while (queue.take().isPresent()) {
          out.incrementAndGet();
        }
        return null;
      });
    }
    for (Future<?> producer : producers) {
      producer.get();
    }
    AtomicInteger left = new AtomicInteger();
    queue.close(work -> left.incrementAndGet());
    threads.shutdown();
    assertThat(threads.awaitTermination(30, TimeUnit.SECONDS)).isTrue();
    assertThat(left.get()).isLessThanOrEqualTo(8);
    assertThat(out.get() + left.get()).isEqualTo(2 * perThread);
  }
}
