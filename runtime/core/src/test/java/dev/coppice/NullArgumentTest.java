package dev.coppice;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import dev.coppice.api.BundleInfo;
import dev.coppice.api.BundleStore;
import dev.coppice.api.Classifier;
import dev.coppice.api.Diagnostics;
import dev.coppice.api.Image;
import dev.coppice.api.Keep;
import dev.coppice.api.MetricsListener;
import dev.coppice.api.OpenOptions;
import dev.coppice.api.Preprocessing;
import dev.coppice.api.Scheduler;
import dev.coppice.api.SchedulerOptions;
import dev.coppice.api.Trust;
import dev.coppice.bundle.SignedBundle;
import dev.coppice.latency.PercentileBound;
import dev.coppice.latency.Samples;
import java.lang.reflect.Array;
import java.lang.reflect.Constructor;
import java.lang.reflect.Executable;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Parameter;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Null is refused by the name of what is missing, wherever the public API does not allow it, and before anything else is done. */
@Tag("build-machine") // reflection over the same code
final class NullArgumentTest {

  private static final Map<Class<?>, Object> SAMPLES = new HashMap<>(Map.ofEntries(
      Map.entry(int.class, 1), Map.entry(long.class, 1L), Map.entry(double.class, 0.5), Map.entry(float.class, 0.5f), Map.entry(boolean.class, true),
      Map.entry(String.class, "1.0.0"), Map.entry(Path.class, Path.of("nowhere")), Map.entry(Duration.class, Duration.ofSeconds(1)),
      Map.entry(List.class, List.of()), Map.entry(Map.class, Map.of()), Map.entry(Set.class, Set.of()), Map.entry(Optional.class, Optional.empty()),
      Map.entry(OptionalDouble.class, OptionalDouble.empty()), Map.entry(OptionalLong.class, OptionalLong.empty()), Map.entry(Throwable.class, new Exception()),
      Map.entry(ByteBuffer.class, ByteBuffer.allocate(3)), Map.entry(FloatBuffer.class, FloatBuffer.allocate(1)), Map.entry(Image.class, new Image(1, 1, new byte[3], 0)),
      Map.entry(Preprocessing.class, new Preprocessing(1, 1, List.of(0f, 0f, 0f), List.of(1f, 1f, 1f))), Map.entry(Keep.class, Keep.ratio(1)),
      Map.entry(Samples.class, new Samples(new long[] {1, 2}, 2)), Map.entry(PercentileBound.class, new PercentileBound(50, 0.9))));

  private static final List<AutoCloseable> OPEN = new ArrayList<>();

  @AfterAll
  static void close() throws Exception {
    for (AutoCloseable open : OPEN) {
      open.close();
    }
  }

  private static void openSamples() {
    OpenOptions options = OpenOptions.defaults().withThreads(1);
    Classifier classifier = Coppice.open(SignedBundle.FOLDER, options);
    Scheduler scheduler = Coppice.schedule(SignedBundle.FOLDER, options, SchedulerOptions.defaults().withCalibrationRuns(3));
    OPEN.addAll(List.of(classifier, scheduler));
    SAMPLES.putAll(Map.of(Classifier.class, classifier, Scheduler.class, scheduler, BundleStore.class, Coppice.store(Path.of("nowhere")), Trust.class, Trust.off(),
        MetricsListener.class, MetricsListener.NONE, BundleInfo.class, classifier.bundle(), Diagnostics.class, new Diagnostics(Map.of(), List.of())));
  }

  /** A call, and the number of the argument that is null in it. */
  static Stream<Arguments> parameters() throws Exception {
    openSamples();
    List<Arguments> all = new ArrayList<>();
    for (Class<?> type : ExportedTypes.all()) {
      if (type == MetricsListener.class || type.isAnnotationPresent(FunctionalInterface.class)) {
        continue; // which callers implement
      }
      for (Executable call : Stream.concat(Stream.of(type.getDeclaredConstructors()), Stream.of(type.getDeclaredMethods())).toList()) {
        boolean ours = Modifier.isPublic(call.getModifiers()) && !call.isSynthetic() && !call.getName().equals("equals") && !(type.isEnum() && call.getName().equals("valueOf"));
        for (int i = 0; ours && i < call.getParameterCount(); i++) {
          Parameter parameter = call.getParameters()[i];
          if (!parameter.getType().isPrimitive() && !parameter.getAnnotatedType().isAnnotationPresent(Nullable.class)) {
            all.add(arguments(call, i));
          }
        }
      }
    }
    return all.stream();
  }

  @ParameterizedTest(name = "{0}, argument {1}")
  @MethodSource("parameters")
  void shouldRefuseNullByName(Executable call, int missing) {
    Object[] given = Stream.of(call.getParameterTypes()).map(NullArgumentTest::sample).toArray();
    given[missing] = null;
    Throwable refusal = catchThrowable(() -> {
      if (call instanceof Constructor<?> constructor) {
        constructor.newInstance(given);
      } else {
        ((Method) call).invoke(Modifier.isStatic(call.getModifiers()) ? null : sample(call.getDeclaringClass()), given);
      }
    });
    assertThat(refusal).as("%s with null as argument %d", call, missing).isInstanceOf(InvocationTargetException.class);
    assertThat(refusal.getCause()).isInstanceOf(NullPointerException.class);
    // Java's own text of a dereference would not tell a caller what to give.
    assertThat(refusal.getCause().getMessage()).isNotNull().matches("[a-zA-Z0-9]+");
  }

  /** Some value of a type; a record is made of samples where no method gives one. */
  private static Object sample(Class<?> type) {
    Object known = SAMPLES.get(type);
    if (known != null) {
      return known;
    }
    try {
      if (type.isEnum()) {
        return type.getEnumConstants()[0];
      }
      if (type.isArray()) {
        return Array.newInstance(type.getComponentType(), 0);
      }
      for (Method method : type.getDeclaredMethods()) {
        if (method.getName().equals("defaults")) {
          return method.invoke(null);
        }
      }
      if (type.isInterface()) {
        return Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, (proxy, method, given) -> null);
      }
      Constructor<?> constructor = type.getConstructors()[0];
      return constructor.newInstance(Stream.of(constructor.getParameterTypes()).map(NullArgumentTest::sample).toArray());
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException("no sample of " + type, e);
    }
  }
}
