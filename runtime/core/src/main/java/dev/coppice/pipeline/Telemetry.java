package dev.coppice.pipeline;

import dev.coppice.api.BundleInfo;
import dev.coppice.api.CoppiceException;
import dev.coppice.api.MetricsListener;
import dev.coppice.api.Result;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Tells log, metrics and flight recorder what happens to one bundle. Safe for use by many threads.
 *
 * <p>The log has what happens once or changes at INFO and WARN, what may happen at every request at DEBUG.
 */
final class Telemetry {

  private static final Logger LOG = LoggerFactory.getLogger(Telemetry.class);

  private final String bundle;
  private final double patches;
  private final MetricsListener listener;
  private volatile boolean warm;
  private volatile boolean faulty;

  Telemetry(BundleInfo bundle, MetricsListener listener) {
    this.bundle = bundle.name();
    this.patches = (double) bundle.grid() * bundle.grid();
    this.listener = listener;
    LOG.info("bundle {} {} is open: {} rungs, {}", bundle.name(), bundle.version(), bundle.ladder().size(), bundle.precision());
  }

  /** Whether anybody wants to know the temperature of a run. */
  boolean mindsHeat() {
    return listener != MetricsListener.NONE || InferenceEvent.NONE.isEnabled();
  }

  /** To be called when the work begins, for {@link #ran}. Makes an event only where one is recorded. */
  InferenceEvent begin() {
    if (!InferenceEvent.NONE.isEnabled()) {
      return InferenceEvent.NONE;
    }
    InferenceEvent event = new InferenceEvent();
    event.begin();
    return event;
  }

  void ran(InferenceEvent event, Result result, long queueNanos, long spareNanos, double celsius) {
    if (event != InferenceEvent.NONE && event.shouldCommit()) {
      event.bundle = bundle;
      event.rung = result.rung().orElse(null);
      event.queue = queueNanos;
      event.preprocess = result.timings().preprocess();
      event.run = result.timings().run();
      event.rank = result.timings().rank();
      event.temperature = celsius;
      event.commit();
    }
    try {
      listener.ran(result, queueNanos, spareNanos, keepRatio(result.keep()), celsius);
    } catch (RuntimeException fault) {
      failed(fault);
    }
  }

  private double keepRatio(List<Integer> keep) {
    return keep.isEmpty() ? 1 : keep.get(keep.size() - 1) / patches;
  }

  void queued(int depth) {
    try {
      listener.queued(depth);
    } catch (RuntimeException fault) {
      failed(fault);
    }
  }

  /** Gives the refusal back, to be thrown or handed on. */
  CoppiceException refused(CoppiceException refusal) {
    LOG.debug("bundle {}: refused, {}: {}", bundle, refusal.code(), refusal.getMessage());
    try {
      listener.refused(refusal.code());
    } catch (RuntimeException fault) {
      failed(fault);
    }
    return refusal;
  }

  private void failed(RuntimeException fault) {
    if (!faulty) {
      faulty = true;
      LOG.warn("bundle {}: the metrics listener failed; it is told on, and what it throws is not logged again", bundle, fault);
    }
  }

  void rung(String name, double slowdown, double clockRatio) {
    LOG.debug("bundle {}: rung {} (slow-down {}, clock {})", bundle, name, slowdown, 1 / clockRatio);
  }

  /** nowWarm: whether the temperature closes rungs. */
  void heat(boolean nowWarm, double celsius) {
    if (nowWarm != warm) {
      warm = nowWarm;
      if (nowWarm) {
        LOG.warn("bundle {}: {} degrees Celsius, close to the throttle point; dear rungs are closed", bundle, celsius);
      } else {
        LOG.info("bundle {}: {} degrees Celsius, cool again; all rungs are open", bundle, celsius);
      }
    }
  }

  void cancelled() {
    LOG.debug("bundle {}: a run is ended, nobody waits for it any more", bundle);
  }

  void terminated(long waitedMillis) {
    LOG.warn("bundle {}: a run is ended, closing has waited {} ms for it", bundle, waitedMillis);
  }

  void subscriberFailed(RuntimeException fault) {
    LOG.warn("bundle {}: the subscriber of a stream failed; the stream is cancelled", bundle, fault);
  }

  void closed() {
    LOG.info("bundle {} is closed", bundle);
  }
}
