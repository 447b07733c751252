package dev.coppice;

import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import dev.coppice.api.Image;
import dev.coppice.api.OpenOptions;
import dev.coppice.api.Request;
import dev.coppice.api.Result;
import dev.coppice.api.Scheduler;
import dev.coppice.api.SchedulerOptions;
import dev.coppice.bundle.ShippedBundle;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Flow;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;
import org.opentest4j.TestAbortedException;
import org.reactivestreams.FlowAdapters;
import org.reactivestreams.example.unicast.AsyncIterablePublisher;
import org.reactivestreams.tck.TestEnvironment;
import org.reactivestreams.tck.flow.FlowPublisherVerification;
import org.reactivestreams.tck.flow.FlowSubscriberBlackboxVerification;
import org.reactivestreams.tck.flow.support.PublisherVerificationRules;
import org.reactivestreams.tck.flow.support.SubscriberBlackboxVerificationRules;
import org.testng.SkipException;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.BeforeMethod;

/** Both sides of a stream by the rules of Reactive Streams, as their authors test them. */
@Tag("build-machine") // the rules have time limits
final class StreamRulesTest {

  private static final Image GOLF_BALL = Coppice.image(ShippedBundle.golfBall());
  private static final Request PATIENT = Request.within(Duration.ofMinutes(5));
  private static final TestEnvironment LIMITS = new TestEnvironment(2000, 50);

  private static ExecutorService executor;
  private static Scheduler scheduler;

  @BeforeAll
  static void open() {
    executor = Executors.newCachedThreadPool();
    scheduler = Coppice.schedule(ShippedBundle.FOLDER, OpenOptions.defaults().withThreads(1), SchedulerOptions.defaults().withCapacity(100).withCalibrationRuns(3));
  }

  @AfterAll
  static void close() {
    scheduler.close();
    executor.shutdown();
  }

  @TestFactory
  Stream<DynamicTest> shouldPublishEveryImageByTheRules() {
    return rules(PublisherVerificationRules.class, Results::new);
  }

  @TestFactory
  Stream<DynamicTest> shouldSubscribeForEveryImageByTheRules() {
    return rules(SubscriberBlackboxVerificationRules.class, () -> new Frames(() -> scheduler.stream(PATIENT, 3)));
  }

  @TestFactory
  Stream<DynamicTest> shouldSubscribeForTheNewestFrameByTheRules() {
    return rules(SubscriberBlackboxVerificationRules.class, () -> new Frames(() -> scheduler.newestFrames(PATIENT)));
  }

  /** A publisher of results: the stream behind one of images. */
  private static final class Results extends FlowPublisherVerification<Result> {
    Results() {
      super(LIMITS, 1000);
    }

    @Override
    public boolean skipStochasticTests() {
      return true; // a hundred streams take half a minute; StreamTest finds two signals at once
    }

    @Override
    public Flow.Publisher<Result> createFlowPublisher(long elements) {
      Flow.Processor<Image, Result> stream = scheduler.stream(PATIENT, 3);
      Iterable<Image> images = () -> Stream.generate(() -> GOLF_BALL).limit(elements).iterator();
      FlowAdapters.toFlowPublisher(new AsyncIterablePublisher<>(images, executor)).subscribe(stream);
      return stream;
    }

    @Override
    public Flow.Publisher<Result> createFailedFlowPublisher() {
      Flow.Processor<Image, Result> stream = scheduler.stream(PATIENT, 3);
      stream.onError(new IllegalStateException("the camera is gone"));
      return stream;
    }
  }

  /** A subscriber for images: the stream before one that wants every result. */
  private static final class Frames extends FlowSubscriberBlackboxVerification<Image> {
    private final Supplier<Flow.Processor<Image, Result>> streams;

    Frames(Supplier<Flow.Processor<Image, Result>> streams) {
      super(LIMITS);
      this.streams = streams;
    }

    @Override
    public Flow.Subscriber<Image> createFlowSubscriber() {
      Flow.Processor<Image, Result> stream = streams.get();
      stream.subscribe(new CollectedResults(Long.MAX_VALUE));
      return stream;
    }

    @Override
    public Image createElement(int element) {
      return GOLF_BALL;
    }
  }

  /** One test for each rule but those for many subscribers; what its authors cannot verify is skipped with their reason. */
  private static <V> Stream<DynamicTest> rules(Class<? super V> rules, Supplier<V> verification) {
    return Arrays.stream(rules.getMethods()).filter(rule -> !rule.getName().startsWith("untested") && !rule.getName().startsWith("optional_spec111")).map(rule -> dynamicTest(rule.getName(), () -> {
      V fresh = verification.get();
      for (Method method : fresh.getClass().getMethods()) {
        if (method.isAnnotationPresent(BeforeClass.class) || method.isAnnotationPresent(BeforeMethod.class)) {
          method.invoke(fresh);
        }
      }
      try {
        rule.invoke(fresh);
      } catch (InvocationTargetException broken) {
        throw broken.getCause() instanceof SkipException skipped ? new TestAbortedException(skipped.getMessage()) : broken.getCause();
      }
    }));
  }
}
