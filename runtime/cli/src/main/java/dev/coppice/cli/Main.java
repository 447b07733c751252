package dev.coppice.cli;

import dev.coppice.api.BundleException;
import dev.coppice.api.CoppiceException;
import picocli.CommandLine;
import picocli.CommandLine.Command;

/** The command {@code coppice}. Exit code 0: done; 1: something could not be done; 2: wrong usage; 3: a bundle was refused. */
@Command(
    name = "coppice",
    version = "coppice 0.1.0",
    mixinStandardHelpOptions = true,
    description = "Runs vision transformers on small boards at the speed the moment allows.",
    synopsisSubcommandLabel = "COMMAND",
    subcommands = {ClassifyCommand.class, LatencyCommand.class, InspectCommand.class, BundleCommand.class, DoctorCommand.class})
public final class Main {

  private static final int REFUSED = 3;

  private Main() {}

  /** Runs one command and exits. */
  public static void main(String[] arguments) {
    System.exit(commandLine().execute(arguments));
  }

  static CommandLine commandLine() {
    CommandLine line = new CommandLine(new Main());
    line.setUseSimplifiedAtFiles(true); // one argument a line, so that names may hold spaces
    line.setCaseInsensitiveEnumValuesAllowed(true);
    line.setParameterExceptionHandler(
        (error, arguments) -> {
          CommandLine command = error.getCommandLine();
          command.getErr().println("coppice: " + sentence(error) + " Try `" + command.getCommandSpec().qualifiedName() + " --help`.");
          return CommandLine.ExitCode.USAGE;
        });
    line.setExecutionExceptionHandler(
        (error, command, parsed) -> {
          command.getErr().println("coppice: " + sentence(error));
          if (error instanceof BundleException) {
            return REFUSED;
          }
          boolean usage = error instanceof IllegalArgumentException && !(error instanceof CoppiceException);
          return usage ? CommandLine.ExitCode.USAGE : CommandLine.ExitCode.SOFTWARE;
        });
    return line;
  }

  static String sentence(Exception error) {
    String text = error.getMessage() == null ? error.getClass().getSimpleName() : error.getMessage().strip().replaceAll("\\s*\\R\\s*", " ");
    return text.endsWith(".") ? text : text + ".";
  }
}
