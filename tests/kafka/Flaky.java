import java.io.File;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.connect.connector.Task;
import org.apache.kafka.connect.source.SourceConnector;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.source.SourceTask;

/** A connector of Kafka Connect with two tasks that move nothing; the second one fails once a file is there. */
public class Flaky extends SourceConnector {
    private String file;

    @Override
    public void start(Map<String, String> config) {
        file = config.get("fails");
    }

    @Override
    public Class<? extends Task> taskClass() {
        return Part.class;
    }

    @Override
    public List<Map<String, String>> taskConfigs(int most) {
        return List.of(Map.of("fails", ""), Map.of("fails", file));
    }

    @Override
    public void stop() {}

    @Override
    public ConfigDef config() {
        return new ConfigDef();
    }

    @Override
    public String version() {
        return "1";
    }

    /** One of them. */
    public static class Part extends SourceTask {
        private String file;

        @Override
        public void start(Map<String, String> config) {
            file = config.get("fails");
        }

        @Override
        public List<SourceRecord> poll() throws InterruptedException {
            if (!file.isEmpty() && new File(file).exists()) {
                throw new IllegalStateException("told to fail");
            }
            Thread.sleep(100);
            return null;
        }

        @Override
        public void stop() {}

        @Override
        public String version() {
            return "1";
        }
    }
}
