package dev.coppice.cli;

import dev.coppice.Coppice;
import dev.coppice.api.BundleStore;
import dev.coppice.api.InstalledBundle;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/** {@code coppice bundle install|rollback|list|collect}. */
@Command(name = "bundle", mixinStandardHelpOptions = true, description = "Installs bundles in versions, and goes back.", synopsisSubcommandLabel = "COMMAND")
final class BundleCommand {

  @Spec private CommandSpec command;

  @Option(
      names = "--store",
      paramLabel = "DIR",
      scope = ScopeType.INHERIT,
      description = "Where bundles are installed; else the environment's COPPICE_STORE, else ~/.local/share/coppice/bundles.")
  private Path given;

  private BundleStore store() {
    String fallback = System.getenv().getOrDefault("COPPICE_STORE", Path.of(System.getProperty("user.home"), ".local", "share", "coppice", "bundles").toString());
    return Coppice.store(given == null ? Path.of(fallback) : given);
  }

  @Command(description = "Copies a bundle in, verifies it, runs its golden cases, and makes it the current version.", mixinStandardHelpOptions = true)
  int install(@Parameters(paramLabel = "BUNDLE", description = "The bundle folder.") Path source) {
    return print(List.of(store().install(source)));
  }

  @Command(description = "Makes the version before the current one current again.", mixinStandardHelpOptions = true)
  int rollback(@Parameters(paramLabel = "NAME", description = "The bundle's name.") String name) {
    return print(List.of(store().rollback(name)));
  }

  @Command(description = "Lists what is installed.", mixinStandardHelpOptions = true)
  int list() {
    return print(store().list());
  }

  @Command(description = "Deletes the versions that are neither current nor the one to go back to.", mixinStandardHelpOptions = true)
  int collect(@Parameters(paramLabel = "NAME", description = "The bundle's name.") String name) {
    int deleted = store().collect(name);
    command.commandLine().getOut().println(name + ": " + deleted + (deleted == 1 ? " version deleted" : " versions deleted"));
    return 0;
  }

  private int print(List<InstalledBundle> bundles) {
    PrintWriter out = command.commandLine().getOut();
    for (InstalledBundle bundle : bundles) {
      out.println(bundle.name() + " " + bundle.version() + " " + bundle.folder() + (bundle.current() ? " current" : "") + (bundle.previous() ? " previous" : ""));
    }
    out.flush();
    return 0;
  }
}
