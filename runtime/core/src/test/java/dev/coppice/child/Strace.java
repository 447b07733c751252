package dev.coppice.child;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** A JVM under strace, which kills it at a system call or lets the call fail. */
public final class Strace {

  private static final List<String> CHANGES = List.of("fdatasync", "fsync", "ftruncate", "link", "linkat", "mkdir", "mkdirat", "pwrite64", "rename", "renameat",
      "renameat2", "rmdir", "symlink", "symlinkat", "unlink", "unlinkat", "write");
  private static final List<String> OTHERS = List.of("access", "faccessat", "faccessat2", "fcntl", "fstat", "getdents64", "lstat", "newfstatat", "open", "openat",
      "pread64", "read", "readlink", "readlinkat", "stat", "statx");
  private static final Pattern LINE = Pattern.compile("(\\d+) +([a-z0-9_]+)\\((.*)");

  private final Path log;

  /**
   * A call of one thread to a file, which two threads may make.
   *
   * @param name as strace lists it
   * @param path of the file, the first if there are two
   * @param number of the call among those of this name to this file in its thread, from 1
   * @param line of the log
   */
  public record Call(String name, Path path, int number, String line) {

    private boolean isSame(Call other) {
      return name.equals(other.name) && path.equals(other.path) && number == other.number;
    }

    /** Whether it changes what a disk holds. */
    public boolean changes() {
      return CHANGES.contains(name) || name.startsWith("open") && line.contains("O_CREAT");
    }
  }

  /** log: a file that each run writes anew. */
  public Strace(Path log) {
    this.log = log;
  }

  /** Whether this machine has strace and lets it trace. */
  public static boolean works() throws InterruptedException {
    try {
      return new ProcessBuilder("strace", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "true").start().waitFor() == 0;
    } catch (IOException missing) {
      return false;
    }
  }

  /** The calls that a program makes to files of a folder. */
  public List<Call> calls(Callable<ChildJvm> program, Path folder) throws Exception {
    ChildJvm.End end = under(program.call(), "--seccomp-bpf").run();
    if (end.code() != 0) {
      throw new IllegalStateException(end.output());
    }
    return logged(folder);
  }

  /** Runs a program with a fault at a call to a file of a folder: {@code signal=KILL} before it has done anything, or {@code error=EIO} in its place. */
  public ChildJvm.End fault(Callable<ChildJvm> program, Path folder, Call call, String fault) throws Exception {
    // Of calls to this file alone: the JVM makes others of the same name and number before.
    List<String> options = new ArrayList<>(List.of("-P", call.path().toString(), "-e", "inject=" + call.name() + ":" + fault + ":when=" + call.number()));
    if (!fault.startsWith("signal")) {
      options.add("--seccomp-bpf"); // strace 6.1 loses the signal where only some calls stop
    }
    ChildJvm.End end = under(program.call(), options.toArray(String[]::new)).run();
    if (logged(folder).stream().noneMatch(call::isSame)) {
      throw new IllegalStateException("the program has not made the call " + call + ": " + end);
    }
    return end;
  }

  private List<Call> logged(Path folder) throws IOException {
    Pattern file = Pattern.compile("[<\"](" + Pattern.quote(folder.toString()) + "(?:/[^\">]*)?)[\">]");
    Map<String, Integer> made = new HashMap<>();
    List<Call> found = new ArrayList<>();
    for (String line : Files.readAllLines(log)) {
      Matcher call = LINE.matcher(line);
      Matcher path = file.matcher(line);
      if (call.matches() && path.find()) {
        int number = made.merge(call.group(1) + call.group(2) + path.group(1), 1, Integer::sum);
        Call one = new Call(call.group(2), Path.of(path.group(1)), number, line);
        if (found.stream().noneMatch(one::isSame)) {
          found.add(one);
        }
      }
    }
    return found;
  }

  private ChildJvm under(ChildJvm jvm, String... options) {
    String calls = Stream.concat(CHANGES.stream(), OTHERS.stream()).collect(Collectors.joining(",?", "?", "")); // "?": where the machine has it
    List<String> command = new ArrayList<>(List.of("strace", "-f", "-y", "--quiet=all", "-o", log.toString(), "-e", "trace=" + calls));
    command.addAll(List.of(options));
    return jvm.under(command).withOption("-XX:-UsePerfData").withOption("-XX:-UseContainerSupport"); // which make calls by the clock
  }
}
