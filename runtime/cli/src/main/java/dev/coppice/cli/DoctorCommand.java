package dev.coppice.cli;

import dev.coppice.Coppice;
import dev.coppice.api.Classifier;
import dev.coppice.api.CoppiceException;
import dev.coppice.api.Diagnostics;
import java.io.PrintWriter;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** {@code coppice doctor}. */
@Command(
    name = "doctor",
    mixinStandardHelpOptions = true,
    description = "Prints what a bug report needs, and says what is wrong with this machine.")
final class DoctorCommand implements Callable<Integer> {

  @Spec private CommandSpec command;

  @Mixin private BundleOption bundle;

  @Override
  public Integer call() {
    PrintWriter out = command.commandLine().getOut();
    try {
      Diagnostics found = Coppice.diagnostics();
      row(out, "java", found.java());
      row(out, "platform", found.platform() + ", glibc " + found.glibc());
      row(out, "board", found.board());
      row(out, "processors", found.processors() + ", a classifier uses " + found.threads());
      row(out, "onnx runtime", found.onnxRuntime());
      row(out, "operators", found.operatorLibrary());
      row(out, "isa", found.isa() + " of " + String.join(", ", found.isas()));
      try (Classifier classifier = Coppice.open(bundle.path())) {
        classifier.selfTest();
        row(out, "bundle", classifier.bundle().name() + " " + classifier.bundle().version() + ", golden cases right");
      }
      out.println("Nothing is wrong.");
      return 0;
    } catch (CoppiceException e) {
      row(out, "wrong", e.code() + ": " + e.getMessage());
      return 1;
    } finally {
      out.flush();
    }
  }

  private static void row(PrintWriter out, String name, String value) {
    out.printf("%-13s %s%n", name, value);
  }
}
