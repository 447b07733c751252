package dev.coppice.schedule;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** More requests than can be served, in simulated time: queue, backlog and controller put together as a scheduler does it. */
final class FloodTest {

  private static final List<LatencyLadder.Step> STEPS = Simulation.VIT_TINY;
  private static final double LEAST = STEPS.get(STEPS.size() - 1).meanNanos();

  private record Waiting(long submittedNanos, long deadlineNanos) {}

  private final Random random = new Random(1);
  private final BudgetController controller = new BudgetController(new LatencyLadder(STEPS), 2.33, Double.NaN);
  private final RequestQueue<Waiting> queue = new RequestQueue<>(1000, false);
  private final Backlog backlog = new Backlog(controller.leastNanos(1), 0);
  private final List<Long> refusedNanos = new ArrayList<>();
  private long next; // arrival

  /** Requests at a Poisson process's times, so many times what the fastest rung can do. */
  private void submitUntil(long nanos, double times, long deadline) {
    for (; next <= nanos; next += (long) (-Math.log(1 - random.nextDouble()) * LEAST / times)) {
      if (backlog.readyNanos(next, queue.ahead(0, next + deadline)) > deadline) {
        refusedNanos.add(0L);
      } else {
        queue.offer(new Waiting(next, next + deadline), 0, next + deadline, none -> {});
      }
    }
  }

  /**
   * Two minutes of a flood: refusals are told within 5 ms, what is accepted is on time, and the machine has something to do.
   *
   * @param pauses share of the runs that are held up for the fastest rung's time
   * @param busy least share of the time that goes into runs which end on time
   */
  @ParameterizedTest
  @CsvSource({"5, 12, 0, 0.99", "5, 12, 0.01, 0.99", "5, 12, 0.03, 0.99", "5, 4, 0.01, 0.95", "5, 2, 0.005, 0.95", "2, 12, 0.01, 0.99", "2, 4, 0.005, 0.95",
      "1.2, 12, 0.01, 0.99", "1.2, 50, 0.03, 0.99"})
  void shouldRefuseAtOnceOrServeOnTime(double times, double runsInDeadline, double pauses, double busy) throws InterruptedException {
    long deadline = (long) (runsInDeadline * LEAST);
    long now = 0;
    int accepted = 0;
    int late = 0;
    double good = 0;
    while (now < 120e9) {
      submitUntil(now, times, deadline);
      if (queue.size() == 0) {
        now = next;
        continue;
      }
      Waiting work = queue.take().orElseThrow();
      int place = controller.choose(now, queue.room(now, work.deadlineNanos, backlog.leastNanos()), 1, Double.NaN, STEPS.size() - 1);
      backlog.expect(controller.leastNanos(1));
      if (place == BudgetController.NONE) {
        refusedNanos.add(now - work.submittedNanos);
        continue;
      }
      backlog.busyUntil(now + (long) controller.predictedNanos());
      long nanos = (long) (STEPS.get(place).meanNanos() * Math.exp(0.03 * random.nextGaussian()) + (random.nextDouble() < pauses ? LEAST : 0));
      submitUntil(now + nanos, times, deadline); // they meet the backlog as it is during the run
      now += nanos;
      backlog.busyUntil(now);
      controller.ran(place, now, nanos, 1);
      accepted++;
      late += now > work.deadlineNanos ? 1 : 0;
      good += now > work.deadlineNanos ? 0 : nanos;
    }
    Collections.sort(refusedNanos);
    assertThat(refusedNanos.get((int) Math.ceil(0.99 * refusedNanos.size()) - 1)).isLessThanOrEqualTo(5_000_000);
    assertThat((double) late / accepted).isLessThanOrEqualTo(0.01);
    assertThat(good / now).isGreaterThanOrEqualTo(busy);
  }
}
