/**
 * What does the control plane say? Names for the generated types (`schema.ts`, made by tools/ui_types.py from the
 * server's OpenAPI schema), narrowed where the schema is looser than what is sent.
 */
import type * as schema from './schema';

export type { Percentiles, Sample, Swap, SwapPhases } from './schema';

export type ModelState = schema.ModelState;
export type Model = Omit<schema.ModelView, 'capabilities'> & {
  capabilities: { in: string[]; out: string[]; tools: boolean; reranker: boolean; context: number };
};
export type Kind = NonNullable<Model['kind']>;
export type ModelFiles = schema.FilesView;
export type Pace = schema.Pace;
export type Group = schema.GroupView;
export type Flight = schema.RequestView;
export type Device = schema.DeviceView;
export type MemoryReport = schema.MemoryReport;

/** A finding of the configuration, with line and column, or of the ports, with a place as `file:line:column`. */
export type Finding = Pick<schema.FindingView, 'message' | 'path' | 'way_out'> & {
  severity: 'error' | 'warning' | 'note';
  line?: number | null;
  column?: number | null;
  place?: string | null;
};

export type PortRow = schema.PortRow;
export type PortRange = schema.RangeView;
export type PortReport = Omit<schema.ReportView, 'findings'> & { findings: Finding[] };
export type PortReason = schema.PortView;

export type Changes = schema.ChangesView;
export type ConfigDocument = Omit<schema.ConfigView, 'findings' | 'rejected'> & {
  findings: Finding[];
  rejected: Finding[];
};
export type ConfigForms = schema.FormsView;
export type ConfigCheck = Omit<schema.CheckView, 'findings'> & { findings: Finding[] };
export type Backup = schema.BackupView;

export type Profiles = schema.ProfilesView;

export type ActivityRow = schema.Row;
export type Capture = schema.CaptureView;
export type ActivityPage = schema.ActivityPage;
export type Stats = schema.StatsView;

export type LogLine = schema.LineView;
export type LogEvent = LogLine & { source: string };

export type Gpu = schema.GpuView;
export type Hardware = schema.HardwareView;
export type Versions = schema.VersionsView;
export type DoctorCheck = schema.Check;

export type Scope = schema.Right;
export type ApiKey = schema.KeyView;
export type Keys = schema.KeysView;
export type NewKey = schema.NewKey;

export type BrowsePage = schema.BrowseView;
export type Stores = schema.StoresView;
export type ScannedModel = schema.FoundModel;
export type ScanResult = schema.ScanView;
/** One way to run a model, and all of them for one that is configured, or that a scan has found. */
export type PlacementChoice = schema.ChoiceView;
export type ModelChoices = schema.ChoicesView;
export type FoundChoices = schema.FoundChoicesView;
export type Written = schema.WrittenView;
/** What may help a model that did not start, and the configuration with one of these. */
export type Remedies = schema.RemediesView;
export type RemedyText = schema.RemedyText;
export type SetupOptions = Partial<schema.SetupWishes>;

export type Download = schema.DownloadView;
export type Downloads = schema.DownloadsView;
export type DownloadPlan = schema.PlanView;
export type Variant = schema.VariantView;
export type Suggestion = schema.SuggestionView;
export type Suggestions = schema.SuggestionsView;
export type Repository = schema.FoundRepository;
export type Prospect = schema.Prospect;

/** `GET /api/identity`, which the schema leaves open. */
export interface Identity {
  name: string;
  version: string;
  pid: number;
  url: string;
  started_at: number;
}

export type Together = schema.TogetherView;
