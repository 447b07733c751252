package dev.coppice;

import dev.coppice.api.Result;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Flow;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** Keeps what a stream gives, and finds two signals at once. */
final class CollectedResults implements Flow.Subscriber<Result> {

  private final long first;
  private final List<Result> results = new ArrayList<>();
  private final CompletableFuture<Integer> end = new CompletableFuture<>();
  private final AtomicInteger inside = new AtomicInteger();
  private volatile Flow.Subscription subscription;

  /** first: results to ask for at once, 0 for none. */
  CollectedResults(long first) {
    this.first = first;
  }

  Flow.Subscription subscription() {
    return subscription;
  }

  int count() {
    return results().size();
  }

  List<Result> results() {
    synchronized (results) {
      return List.copyOf(results);
    }
  }

  /** How many results there were when the stream ended; its failure as an exception. */
  int end() throws Exception {
    return end.get(60, TimeUnit.SECONDS);
  }

  boolean ended() {
    return end.isDone();
  }

  @Override
  public void onSubscribe(Flow.Subscription given) {
    subscription = given;
    if (first > 0) {
      given.request(first);
    }
  }

  @Override
  public void onNext(Result result) {
    alone(() -> {
      synchronized (results) {
        results.add(result);
      }
    });
  }

  @Override
  public void onError(Throwable fault) {
    alone(() -> end(end.completeExceptionally(fault)));
  }

  @Override
  public void onComplete() {
    alone(() -> end(end.complete(count())));
  }

  private static void end(boolean once) {
    if (!once) {
      throw new IllegalStateException("the stream ended twice");
    }
  }

  private void alone(Runnable signal) {
    if (inside.getAndIncrement() != 0) {
      end.completeExceptionally(new IllegalStateException("two signals at once"));
    }
    signal.run();
    inside.decrementAndGet();
  }
}
