/** What the page reads of a dashboard's JSON as Grafana loads it. A test holds the files to it. */
export interface Dashboard {
    uid: string;
    title: string;
    description: string;
    /** `15s`, or empty for never. */
    refresh: string;
    time: { from: string; to: string };
    templating: { list: VariableJson[] };
    annotations: { list: AnnotationJson[] };
    links: LinkJson[];
    panels: PanelJson[];
}

export interface VariableJson {
    /** `datasource` is the one Prometheus that the page has. */
    type: "datasource" | "query";
    name: string;
    label: string;
    /** Of type `query`: `label_values(SERIES, LABEL)`. */
    query: string | { query: string };
    multi?: boolean;
    includeAll?: boolean;
    /** What "All" stands for, where that is not the list of all values. */
    allValue?: string;
    /** 2: the variable is not to be chosen. */
    hide?: number;
}

export interface AnnotationJson {
    name: string;
    enable: boolean;
    iconColor: string;
    expr: string;
    titleFormat: string;
    /** `60s` */
    step: string;
}

export interface LinkJson {
    title: string;
    url: string;
    tooltip: string;
    targetBlank: boolean;
    includeVars: boolean;
    keepTime: boolean;
}

export interface PanelJson {
    id: number;
    /** `row` titles the panels that follow. */
    type: string;
    title: string;
    description?: string;
    /** In 24 columns and units of 30 pixels. */
    gridPos: { x: number; y: number; w: number; h: number };
    targets?: Target[];
    options?: { legend?: { calcs: string[] }; colorMode?: "none" | "value" };
    fieldConfig?: { defaults: FieldDefaults; overrides?: Override[] };
}

export interface Target {
    refId: string;
    expr: string;
    legendFormat: string;
    /** The present value instead of values over time. */
    instant?: boolean;
}

export interface FieldDefaults {
    unit: string;
    min?: number;
    max?: number;
    noValue?: string;
    thresholds?: { steps: { value: number | null; color: string }[] };
    mappings?: { type: string; options: Record<string, { text: string }> }[];
    custom?: {
        lineWidth?: number;
        /** Percent. */
        fillOpacity?: number;
        scaleDistribution?: { type: string };
        stacking?: { mode: string };
    };
}

export interface Override {
    matcher: { id: string; options: string };
    properties: { id: string; value: unknown }[];
}
