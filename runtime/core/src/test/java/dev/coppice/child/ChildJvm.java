package dev.coppice.child;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** A second JVM, for what happens once a process: loading natives, and the properties and environment that steer it. */
public final class ChildJvm {

  private final List<String> arguments = new ArrayList<>();
  private final Map<String, String> environment = new TreeMap<>();
  private List<String> prefix = List.of();
  private List<String> start = List.of("-cp", System.getProperty("java.class.path"), Diagnose.class.getName());

  /** How it ended; the output is stdout and stderr together. */
  public record End(int code, String output) {}

  /** Gives it a system property. */
  public ChildJvm with(String property, Object value) {
    arguments.add("-D" + property + "=" + value);
    return this;
  }

  /** Gives it a variable of the environment. */
  public ChildJvm withEnvironment(String name, Object value) {
    environment.put(name, value.toString());
    return this;
  }

  /** Gives it an option as {@code java -X} lists them. */
  public ChildJvm withOption(String option) {
    arguments.add(option);
    return this;
  }

  /** Runs another program of this package from the class path of this test. */
  public ChildJvm running(Class<?> program, Object... given) {
    start = new ArrayList<>(List.of("-cp", System.getProperty("java.class.path"), program.getName()));
    Stream.of(given).map(Object::toString).forEach(start::add);
    return this;
  }

  /** Keeps it and all it starts on one processor. */
  public ChildJvm pinnedTo(int processor) {
    return under(List.of("taskset", "-c", String.valueOf(processor)));
  }

  /** Lets another program start it. */
  public ChildJvm under(List<String> command) {
    prefix = List.copyOf(command);
    return this;
  }

  /** Runs {@link Diagnose} from this class path. */
  public ChildJvm onClassPath(List<Path> path) {
    start = List.of("-cp", joined(path), Diagnose.class.getName());
    return this;
  }

  /** Runs {@link Diagnose} from {@code classes}, with the library on this module path. */
  public ChildJvm onModulePath(List<Path> modules, Path classes) {
    start = List.of("--module-path", joined(modules), "--add-modules", "dev.coppice.core", "-cp", classes.toString(), Diagnose.class.getName());
    return this;
  }

  /** The class path of this test, entry by entry. */
  public static List<Path> classPath() {
    return List.of(System.getProperty("java.class.path").split(File.pathSeparator)).stream().map(Path::of).toList();
  }

  /** Starts it; {@link #end} waits for it. */
  public Process begin(Path log) throws IOException {
    List<String> command = new ArrayList<>(prefix);
    command.addAll(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
        "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"));
    if (Runtime.version().feature() >= 22) { // which warns of every library that is loaded without
      command.add("--enable-native-access=" + (start.contains("--module-path") ? "dev.coppice.core" : "ALL-UNNAMED"));
    }
    command.addAll(arguments);
    command.addAll(start);
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile());
    builder.environment().keySet().removeAll(List.of("COPPICE_ISA", "XDG_CACHE_HOME", "JAVA_TOOL_OPTIONS"));
    builder.environment().putAll(environment);
    return builder.start();
  }

  /** Waits for the end; fails if there is none in four minutes. */
  public static End end(Process process, Path log) throws IOException, InterruptedException {
    return end(process, log, 240);
  }

  private static End end(Process process, Path log, long seconds) throws IOException, InterruptedException {
    if (!process.waitFor(seconds, TimeUnit.SECONDS)) {
      process.destroyForcibly();
      throw new AssertionError("the child JVM did not end: " + Files.readString(log, StandardCharsets.UTF_8));
    }
    return new End(process.exitValue(), Files.readString(log, StandardCharsets.UTF_8).strip());
  }

  /** Starts it and waits for its end. */
  public End run() throws IOException, InterruptedException {
    return run(60);
  }

  /** The same where it may take longer than a minute. */
  public End run(long seconds) throws IOException, InterruptedException {
    Path log = Files.createTempFile("child-jvm", ".log");
    try {
      return end(begin(log), log, seconds);
    } finally {
      Files.delete(log);
    }
  }

  private static String joined(List<Path> path) {
    return String.join(File.pathSeparator, path.stream().map(Path::toString).toList());
  }
}
