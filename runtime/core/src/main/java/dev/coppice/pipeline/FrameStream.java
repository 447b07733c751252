package dev.coppice.pipeline;

import dev.coppice.api.DeadlineException;
import dev.coppice.api.Image;
import dev.coppice.api.OverloadException;
import dev.coppice.api.Request;
import dev.coppice.api.Result;
import dev.coppice.api.Scheduler;
import java.time.Duration;
import java.util.Objects;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Flow;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;

/**
 * A stream of images through a scheduler, by the rules of Reactive Streams 1.0.4.
 *
 * <p>A signal only leaves a mark; then whoever finds nobody at {@link #work()} does it all, so that the subscriber hears one
 * thing at a time, whichever threads the signals came on. No image is begun for which no result is asked.
 */
final class FrameStream implements Flow.Processor<Image, Result>, Flow.Subscription {

  private static final long UNLIMITED = Long.MAX_VALUE;
  private static final Flow.Subscription NOTHING = new Flow.Subscription() {
    @Override
    public void request(long count) {}

    @Override
    public void cancel() {}
  };

  private record Frame(Image image, long arrivedNanos) {}

  private final Scheduler scheduler;
  private final Telemetry telemetry;
  private final Request request;
  private final int atOnce;
  private final boolean newestWins;

  private final AtomicInteger signals = new AtomicInteger();
  private final AtomicReference<Flow.Subscription> upstream = new AtomicReference<>();
  private final AtomicBoolean subscribed = new AtomicBoolean();
  private volatile Flow.Subscriber<? super Result> downstream; // once it knows its subscription
  private final AtomicLong asked = new AtomicLong(); // of the publisher, not yet come
  private final Queue<Frame> waiting = new ConcurrentLinkedQueue<>();
  private final AtomicInteger running = new AtomicInteger();
  private final Set<CompletableFuture<Result>> futures = ConcurrentHashMap.newKeySet();
  private final Queue<Result> ready = new ConcurrentLinkedQueue<>();
  private final AtomicLong demand = new AtomicLong();
  private final AtomicReference<Throwable> failure = new AtomicReference<>();
  private volatile boolean complete; // the publisher has no more
  private volatile boolean over; // the subscriber hears no more

  /** atOnce: images in the scheduler at a time. newestWins: one that waits is given up for the next. */
  FrameStream(Scheduler scheduler, Telemetry telemetry, Request request, int atOnce, boolean newestWins) {
    this.scheduler = scheduler;
    this.telemetry = telemetry;
    this.request = request;
    this.atOnce = atOnce;
    this.newestWins = newestWins;
  }

  @Override
  public void onSubscribe(Flow.Subscription subscription) {
    if (!upstream.compareAndSet(null, Objects.requireNonNull(subscription, "subscription"))) {
      subscription.cancel();
    }
    work();
  }

  @Override
  public void onNext(Image image) {
    Objects.requireNonNull(image, "image");
    if (newestWins) {
      while (waiting.poll() != null) {
        telemetry.refused(new OverloadException("superseded", "Bundle \"" + scheduler.bundle().name() + "\": a newer frame took the place of this one."));
      }
    }
    waiting.add(new Frame(image, System.nanoTime()));
    if (!newestWins && asked.decrementAndGet() < 0) {
      failure.compareAndSet(null, new IllegalStateException("The publisher sent more images than it was asked for; it must heed request(n)."));
    }
    work();
  }

  @Override
  public void onError(Throwable fault) {
    Objects.requireNonNull(fault, "fault");
    complete = true;
    fail(fault);
  }

  @Override
  public void onComplete() {
    complete = true;
    work();
  }

  @Override
  public void subscribe(Flow.Subscriber<? super Result> subscriber) {
    Objects.requireNonNull(subscriber, "subscriber");
    if (subscribed.getAndSet(true)) {
      subscriber.onSubscribe(NOTHING);
      subscriber.onError(new IllegalStateException("This stream has a subscriber; open another stream."));
      return;
    }
    subscriber.onSubscribe(this);
    downstream = subscriber;
    work();
  }

  @Override
  public void request(long count) {
    if (count <= 0) {
      fail(new IllegalArgumentException("request(n) must be above 0 (Reactive Streams 3.9): " + count));
      return;
    }
    demand.updateAndGet(before -> before + count < 0 ? UNLIMITED : before + count);
    work();
  }

  @Override
  public void cancel() {
    over = true;
    work();
  }

  private void fail(Throwable fault) {
    failure.compareAndSet(null, fault);
    work();
  }

  private void work() {
    if (signals.getAndIncrement() == 0) {
      for (int seen = 1; seen != 0; seen = signals.addAndGet(-seen)) {
        round();
      }
    }
  }

  private void round() {
    Flow.Subscriber<? super Result> subscriber = downstream;
    if (!over && subscriber == null) {
      return; // nobody to tell
    }
    boolean last = complete && waiting.isEmpty() && running.get() == 0; // asked before the results: none comes after
    for (Result result = ready.poll(); result != null && !over; result = ready.poll()) {
      demand.updateAndGet(before -> before == UNLIMITED ? UNLIMITED : before - 1);
      tell(subscriber, result);
    }
    if (!over && (failure.get() != null || last)) {
      over = true;
      if (failure.get() != null) {
        subscriber.onError(failure.get());
      } else {
        subscriber.onComplete();
      }
    }
    if (over) {
      release();
      return;
    }
    while (!waiting.isEmpty() && running.get() < atOnce && wanted() > 0) {
      submit(waiting.poll());
    }
    ask();
  }

  /** Results that are asked for and not on their way; running before ready, where its results go. */
  private long wanted() {
    int onTheirWay = running.get() + ready.size();
    return demand.get() - onTheirWay;
  }

  private void tell(Flow.Subscriber<? super Result> subscriber, Result result) {
    try {
      subscriber.onNext(result);
    } catch (RuntimeException fault) { // by rule 2.13 the same as cancelling
      over = true;
      telemetry.subscriberFailed(fault);
    }
  }

  private void submit(Frame frame) {
    Duration left = request.deadline().minusNanos(System.nanoTime() - frame.arrivedNanos);
    if (left.isNegative() || left.isZero()) {
      telemetry.refused(new DeadlineException("passed", "Bundle \"" + scheduler.bundle().name() + "\": an image waited for its subscriber until its deadline; nothing was run."));
      return;
    }
    running.incrementAndGet();
    try {
      CompletableFuture<Result> future = scheduler.submit(frame.image, new Request(left, request.lane(), request.minAccuracy(), request.top()));
      futures.add(future);
      future.whenComplete((result, fault) -> ended(future, result, fault));
    } catch (RuntimeException fault) {
      ended(null, null, fault);
    }
  }

  private void ended(CompletableFuture<Result> future, Result result, Throwable fault) {
    if (future != null) {
      futures.remove(future);
    }
    if (result != null) {
      ready.add(result);
    } else if (!(fault instanceof DeadlineException || fault instanceof OverloadException)) { // those cost their image alone
      failure.compareAndSet(null, fault);
    }
    running.decrementAndGet();
    work();
  }

  private void ask() {
    Flow.Subscription publisher = upstream.get();
    if (publisher == null || complete) {
      return;
    }
    if (newestWins) {
      if (asked.getAndSet(UNLIMITED) == 0) {
        publisher.request(UNLIMITED);
      }
      return;
    }
    long onTheirWay = asked.get() + waiting.size() + running.get() + ready.size();
    long more = Math.min(atOnce, demand.get()) - onTheirWay;
    if (more > 0) {
      asked.addAndGet(more);
      publisher.request(more);
    }
  }

  private void release() {
    Flow.Subscription publisher = upstream.getAndSet(NOTHING);
    if (publisher != null && !complete) {
      publisher.cancel();
    }
    waiting.clear();
    ready.clear();
    futures.forEach(future -> future.cancel(true));
    downstream = null;
  }
}
