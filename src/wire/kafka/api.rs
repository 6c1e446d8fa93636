//! The APIs of Kafka: key, name, newest version known here, first version with flexible encoding
//! (<https://kafka.apache.org/protocol#protocol_api_keys> and the message definitions, Kafka 4.1).

/// One API.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Api {
    pub name: &'static str,
    /// Newest version known here.
    pub newest: i16,
    /// First version whose request header is version 2.
    pub flexible: i16,
}

/// No version is flexible.
const NEVER: i16 = i16::MAX;

pub(super) const PRODUCE: i16 = 0;
pub(super) const FETCH: i16 = 1;
pub(super) const LIST_OFFSETS: i16 = 2;
pub(super) const METADATA: i16 = 3;
pub(super) const CONTROLLED_SHUTDOWN: i16 = 7;
pub(super) const OFFSET_COMMIT: i16 = 8;
pub(super) const OFFSET_FETCH: i16 = 9;
pub(super) const FIND_COORDINATOR: i16 = 10;
pub(super) const JOIN_GROUP: i16 = 11;
pub(super) const HEARTBEAT: i16 = 12;
pub(super) const LEAVE_GROUP: i16 = 13;
pub(super) const SYNC_GROUP: i16 = 14;
pub(super) const DESCRIBE_GROUPS: i16 = 15;
pub(super) const LIST_GROUPS: i16 = 16;
pub(super) const SASL_HANDSHAKE: i16 = 17;
pub(super) const API_VERSIONS: i16 = 18;
pub(super) const CREATE_TOPICS: i16 = 19;
pub(super) const DELETE_TOPICS: i16 = 20;
pub(super) const INIT_PRODUCER_ID: i16 = 22;
pub(super) const ADD_PARTITIONS_TO_TXN: i16 = 24;
pub(super) const ADD_OFFSETS_TO_TXN: i16 = 25;
pub(super) const END_TXN: i16 = 26;
pub(super) const TXN_OFFSET_COMMIT: i16 = 28;
pub(super) const SASL_AUTHENTICATE: i16 = 36;
pub(super) const CREATE_PARTITIONS: i16 = 37;
pub(super) const DELETE_GROUPS: i16 = 42;
pub(super) const DESCRIBE_CLUSTER: i16 = 60;
pub(super) const CONSUMER_GROUP_HEARTBEAT: i16 = 68;
pub(super) const GET_TELEMETRY_SUBSCRIPTIONS: i16 = 71;
pub(super) const PUSH_TELEMETRY: i16 = 72;
pub(super) const SHARE_GROUP_HEARTBEAT: i16 = 76;
pub(super) const SHARE_FETCH: i16 = 78;
pub(super) const SHARE_ACKNOWLEDGE: i16 = 79;
pub(super) const STREAMS_GROUP_HEARTBEAT: i16 = 88;

/// The API of a key.
pub(super) fn api(key: i16) -> Option<&'static Api> {
    APIS.get(usize::try_from(key).ok()?)
}

const fn row(name: &'static str, newest: i16, flexible: i16) -> Api {
    Api { name, newest, flexible }
}

/// By key.
static APIS: [Api; 93] = [
    row("Produce", 13, 9),
    row("Fetch", 18, 12),
    row("ListOffsets", 11, 6),
    row("Metadata", 13, 9),
    row("LeaderAndIsr", 7, 4),
    row("StopReplica", 4, 2),
    row("UpdateMetadata", 8, 6),
    row("ControlledShutdown", 3, 3),
    row("OffsetCommit", 10, 8),
    row("OffsetFetch", 10, 6),
    row("FindCoordinator", 6, 3),
    row("JoinGroup", 9, 6),
    row("Heartbeat", 4, 4),
    row("LeaveGroup", 5, 4),
    row("SyncGroup", 5, 4),
    row("DescribeGroups", 6, 5),
    row("ListGroups", 5, 3),
    row("SaslHandshake", 1, NEVER),
    row("ApiVersions", 4, 3),
    row("CreateTopics", 7, 5),
    row("DeleteTopics", 6, 4),
    row("DeleteRecords", 2, 2),
    row("InitProducerId", 6, 2),
    row("OffsetForLeaderEpoch", 4, 4),
    row("AddPartitionsToTxn", 5, 3),
    row("AddOffsetsToTxn", 4, 3),
    row("EndTxn", 5, 3),
    row("WriteTxnMarkers", 2, 1),
    row("TxnOffsetCommit", 5, 3),
    row("DescribeAcls", 3, 2),
    row("CreateAcls", 3, 2),
    row("DeleteAcls", 3, 2),
    row("DescribeConfigs", 4, 4),
    row("AlterConfigs", 2, 2),
    row("AlterReplicaLogDirs", 2, 2),
    row("DescribeLogDirs", 5, 2),
    row("SaslAuthenticate", 2, 2),
    row("CreatePartitions", 3, 2),
    row("CreateDelegationToken", 3, 2),
    row("RenewDelegationToken", 2, 2),
    row("ExpireDelegationToken", 2, 2),
    row("DescribeDelegationToken", 3, 2),
    row("DeleteGroups", 2, 2),
    row("ElectLeaders", 2, 2),
    row("IncrementalAlterConfigs", 1, 1),
    row("AlterPartitionReassignments", 1, 0),
    row("ListPartitionReassignments", 0, 0),
    row("OffsetDelete", 0, NEVER),
    row("DescribeClientQuotas", 1, 1),
    row("AlterClientQuotas", 1, 1),
    row("DescribeUserScramCredentials", 0, 0),
    row("AlterUserScramCredentials", 0, 0),
    row("Vote", 2, 0),
    row("BeginQuorumEpoch", 1, 1),
    row("EndQuorumEpoch", 1, 1),
    row("DescribeQuorum", 2, 0),
    row("AlterPartition", 3, 0),
    row("UpdateFeatures", 2, 0),
    row("Envelope", 0, 0),
    row("FetchSnapshot", 1, 0),
    row("DescribeCluster", 2, 0),
    row("DescribeProducers", 0, 0),
    row("BrokerRegistration", 4, 0),
    row("BrokerHeartbeat", 1, 0),
    row("UnregisterBroker", 0, 0),
    row("DescribeTransactions", 0, 0),
    row("ListTransactions", 2, 0),
    row("AllocateProducerIds", 0, 0),
    row("ConsumerGroupHeartbeat", 1, 0),
    row("ConsumerGroupDescribe", 1, 0),
    row("ControllerRegistration", 0, 0),
    row("GetTelemetrySubscriptions", 0, 0),
    row("PushTelemetry", 0, 0),
    row("AssignReplicasToDirs", 0, 0),
    row("ListConfigResources", 1, 0),
    row("DescribeTopicPartitions", 0, 0),
    row("ShareGroupHeartbeat", 1, 0),
    row("ShareGroupDescribe", 1, 0),
    row("ShareFetch", 2, 0),
    row("ShareAcknowledge", 2, 0),
    row("AddRaftVoter", 1, 0),
    row("RemoveRaftVoter", 0, 0),
    row("UpdateRaftVoter", 0, 0),
    row("InitializeShareGroupState", 0, 0),
    row("ReadShareGroupState", 0, 0),
    row("WriteShareGroupState", 1, 0),
    row("DeleteShareGroupState", 0, 0),
    row("ReadShareGroupStateSummary", 1, 0),
    row("StreamsGroupHeartbeat", 0, 0),
    row("StreamsGroupDescribe", 0, 0),
    row("DescribeShareGroupOffsets", 1, 0),
    row("AlterShareGroupOffsets", 0, 0),
    row("DeleteShareGroupOffsets", 0, 0),
];
